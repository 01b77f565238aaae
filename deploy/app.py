"""The Ray Serve application: one deployment whose replica is the HTTP ingress and the engine at once.

    serve.run(application("ladder/", Sizing(budget="300MiB"), device="cpu", cpus=2))

Each replica opens the ladder, sizes itself by `user_config` and answers at the rung it has chosen. A deploy that
changes nothing but `user_config` changes the rung of running replicas in place.
"""

import asyncio
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import serve

from deploy.access import OPEN, Access
from deploy.memory import probe_memory
from deploy.sizing import Sizing, decide
from merge_builder.ladder import open_ladder, rung_at

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger("ray.serve")  # the one that Ray Serve writes to the replica's log file

# Requests wait in the batcher, which bounds them by tokens and tells clients when to come back; this bound only has
# to be out of its way. Ray's default is 5.
MAX_ONGOING_REQUESTS = 1000
DRAIN_SECONDS = 30.0
LOGGING = {"enable_access_log": False}  # the metrics count requests; a line for each would cost more than it tells


class LadderServer:
    """One replica. Ray Serve calls, in this order, the constructor, the ASGI builder and `reconfigure`."""

    def __init__(self, ladder: str, device: str, access: Access) -> None:
        from serving.engine.engine import load_engine
        from serving.service import Choice, Service

        self.access = access
        opened = open_ladder(ladder)
        self.memory = probe_memory(device)  # what was free before anything of the ladder was loaded
        smallest = min(opened.manifest.rungs, key=lambda rung: rung.bytes)
        self.engine = load_engine(opened, rung_at(opened.manifest, smallest.index), device=device)
        self.service = Service(self.engine, Choice(budget=None, reason="starting at the smallest rung"))

    def __serve_build_asgi_app__(self) -> "FastAPI":
        from serving.api.app import create_app

        return create_app(self.service, keys=self.access.keys, admin_keys=self.access.admin_keys)

    async def reconfigure(self, sizing: dict[str, Any]) -> None:
        """Go to the rung that `sizing` (the fields of `Sizing`) allows, and answer every task once to warm it up.

        Raises:
            InputError: no rung fits; a running replica stays on its rung.
        """
        from serving.service import Choice

        manifest = self.engine.ladder.manifest
        decision = decide(manifest, Sizing(**sizing), self.memory)
        await asyncio.to_thread(self.engine.swap, rung_at(manifest, decision.rung.index))
        self.service.choice = Choice(decision.budget, decision.reason)
        logger.info(decision.reason)
        await self.service.start()

    def reason(self) -> str:
        """Why it is on its rung."""
        return self.service.choice.reason

    async def check_health(self) -> None:
        """Raises RuntimeError before the first answer and once the service is closed."""
        if not self.service.ready:
            raise RuntimeError("the service is not ready")


def application(ladder: Path, sizing: Sizing, *, device: str, cpus: float, access: Access = OPEN) -> serve.Application:
    """The application for the ladder at `ladder`, with one replica that has `cpus` processors and, for CUDA, a GPU.

    Ray gives a replica's math libraries as many threads as it has processors.
    """
    deployment = serve.deployment(
        serve.ingress()(LadderServer),
        name="ladder",
        user_config=asdict(sizing),
        ray_actor_options={"num_cpus": cpus, "num_gpus": 1 if device.startswith("cuda") else 0},
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
        graceful_shutdown_wait_loop_s=0.2,
        logging_config=LOGGING,
    )
    return deployment.bind(str(ladder.resolve()), device, access)
