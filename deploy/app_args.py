"""What a deployment of a ladder is made for."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from merge_builder.closed import Closed
from serving.engine.types import Dtype


class AppArgs(Closed):
    """What a deployment is made for; a change of it starts the replicas anew.

    `keys` and `admin_keys` are files of bearer keys; without `keys` other machines may ask only where it is `insecure`.
    `device` "auto" takes a GPU where Ray has given the replica one.
    `dtype` is that of the linear layers' weights; int8 is for the CPU. For `notice_seconds` a replica that is to stop
    says so at `/-/healthz` and `/v2/health/ready` and goes on as before, so that a load balancer has left it by then.
    """

    ladder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    keys: Path | None = None
    admin_keys: Path | None = None
    insecure: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Dtype = "float32"
    notice_seconds: float = Field(0, ge=0, le=20)
