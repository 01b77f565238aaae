"""The Ray Serve application: one deployment whose replica is the HTTP server and the engine at once.

    app = application(Path("ladder"), Sizing(budget="300MiB"), Address("127.0.0.1", 8000), device="cpu", cpus=2)
    serve.run(app, route_prefix=None)

Each replica opens the ladder, sizes itself by `user_config` and answers at the rung it has chosen, on the node's port
(`deploy.http_server` tells why Ray Serve's own proxy has no part in it). Ray Serve places the replicas, watches their
health, starts them again and stops them gently. A deploy that changes nothing but `user_config` changes the rung of
running replicas in place.
"""

import asyncio
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import serve

from deploy.access import OPEN, Access
from deploy.http_server import Address, HttpServer, start_server
from deploy.memory import probe_memory
from deploy.sizing import Sizing, decide
from merge_builder.ladder import open_ladder, rung_at

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger("ray.serve")  # the one that Ray Serve writes to the replica's log file

DRAIN_SECONDS = 30.0
HEALTH_SECONDS = 2.0  # between two looks at a replica: one that was killed is started again soon after
LOGGING = {"enable_access_log": False}


class LadderServer:
    """One replica. Ray Serve calls the constructor and then `reconfigure`; at the end it awaits `__del__`."""

    def __init__(self, ladder: str, device: str, access: Access, address: Address) -> None:
        from serving.engine.engine import load_engine
        from serving.service import Choice, Service

        self.access, self.address = access, address
        opened = open_ladder(ladder)
        self.memory = probe_memory(device)  # what was free before anything of the ladder was loaded
        smallest = min(opened.manifest.rungs, key=lambda rung: rung.bytes)
        self.engine = load_engine(opened, rung_at(opened.manifest, smallest.index), device=device)
        self.service = Service(self.engine, Choice(budget=None, reason="starting at the smallest rung"))
        self.server: HttpServer | None = None

    async def reconfigure(self, sizing: dict[str, Any]) -> None:
        """Go to the rung that `sizing` (the fields of `Sizing`) allows; the first time, begin to listen.

        Raises:
            InputError: no rung fits; a running replica stays on its rung.
            OSError: the address cannot be listened on.
        """
        from serving.service import Choice

        manifest = self.engine.ladder.manifest
        decision = decide(manifest, Sizing(**sizing), self.memory)
        await asyncio.to_thread(self.engine.swap, rung_at(manifest, decision.rung.index))
        self.service.choice = Choice(decision.budget, decision.reason)
        logger.info(decision.reason)
        if self.server is None:
            self.server = await start_server(self._app(), self.address, drain_seconds=DRAIN_SECONDS - 1)
        else:
            await self.service.start()

    def _app(self) -> "FastAPI":
        from serving.api.app import create_app

        return create_app(self.service, keys=self.access.keys, admin_keys=self.access.admin_keys)

    def reason(self) -> str:
        """Why it is on its rung."""
        return self.service.choice.reason

    async def check_health(self) -> None:
        """Raises RuntimeError before the first answer and once the service is closed."""
        if not self.service.ready:
            raise RuntimeError("the service is not ready")

    async def __del__(self) -> None:
        """Answer what is under way, then stop listening."""
        if self.server is not None:
            await self.server.stop()


def application(
    ladder: Path, sizing: Sizing, address: Address, *, device: str, cpus: float, access: Access = OPEN
) -> serve.Application:
    """The application for the ladder at `ladder`, with one replica that has `cpus` processors and, for CUDA, a GPU.

    Ray gives a replica's math libraries as many threads as it has processors.
    """
    deployment = serve.deployment(
        LadderServer,
        name="ladder",
        user_config=asdict(sizing),
        ray_actor_options={"num_cpus": cpus, "num_gpus": 1 if device.startswith("cuda") else 0},
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
        graceful_shutdown_wait_loop_s=0.2,
        health_check_period_s=HEALTH_SECONDS,
        logging_config=LOGGING,
    )
    return deployment.bind(str(ladder.resolve()), device, access, address)
