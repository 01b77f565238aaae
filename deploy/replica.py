"""One replica of the Ray Serve application: HTTP server and engine in one process, and its dealings with Ray."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import serve

from deploy.app_args import AppArgs
from deploy.attempt import Attempt, node_folder
from deploy.autoscale import LOAD, load_of
from deploy.fleet import RayFleet
from deploy.http_server import HttpServer
from deploy.listening import listen
from deploy.sizing import Sizing
from deploy.user_config import floors_of, read_user_config
from deploy.watch import Steady
from merge_builder.errors import InputError
from merge_builder.ladder import BudgetTooSmall, Ladder, open_ladder
from serving.errors import ChangeUnderWay, RequestError
from serving.fleet import Asked, Begun, NodeStatus
from serving.json_log import log_as_json

if TYPE_CHECKING:
    from deploy.node import Node

GROUP_LABEL = "mergeladder.io/group"


class LadderServer:
    """One replica. Ray Serve calls the constructor and then `reconfigure`; at the end it awaits `__del__`."""

    def __init__(self, args: AppArgs) -> None:
        self.server: HttpServer | None = None  # first of all: `__del__` looks at it, whatever fails here
        log_as_json(logging.StreamHandler())  # Ray keeps what its workers write to stderr
        self.args = args
        context = serve.get_replica_context()
        name = context.replica_id.unique_id
        ladder = open_ladder(args.ladder)
        self.folder = node_folder(ladder.manifest.revision, args.port)
        self.node = _node(args, ladder, name, self.folder)
        self.fleet = RayFleet(context.app_name, context.deployment, self)
        self.tasks: set[asyncio.Task[None]] = set()
        self.measured = (time.monotonic(), 0.0)  # when it last told its load, and the seconds it had computed by then

    async def reconfigure(self, document: Mapping[str, Any]) -> None:
        """Go to the rung that `document`, a UserConfig, means here; the first time, begin to listen.

        A running replica changes in the background, so that Ray Serve does not take it out of service meanwhile. Where
        the document is wrong it stays as it is, and tells why: Ray Serve would end a replica that raises, all of them
        for one misspelt word.

        Raises:
            InputError: the document is wrong, the first time.
            OSError: the address cannot be listened on.
        """
        try:
            sizing = self._read(document)
        except InputError as error:
            if self.server is None:
                raise
            self.node.refuse_config(str(error))
            return
        if self.server is None:
            await self._begin(sizing)
            self._keep(self.node.follow_memory(Steady()))
        else:
            self._keep(self.node.follow_config(sizing))

    def _read(self, document: Mapping[str, Any]) -> Sizing:
        config = read_user_config(dict(document))
        sizing = config.sizing(self.node.place.group)
        floors = floors_of(config, self.node.service.manifest)
        with suppress(BudgetTooSmall):
            self.node.sizer.decide(sizing)
        self.node.service.floors = floors
        return sizing

    async def _begin(self, sizing: Sizing) -> None:
        """Be at the rung and listen."""
        await self.node.settle(sizing)
        self.server = await listen(self.args, self.node, self.fleet, self.folder, shared=True)
        host = ray.util.get_node_ip_address() if self.args.host in ("0.0.0.0", "::") else self.args.host
        self.node.place = replace(self.node.place, address=f"http://{host}:{self.server.own_port}")

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)  # a loop itself holds its tasks weakly
        task.add_done_callback(self.tasks.discard)

    def status(self) -> NodeStatus:
        """How it is."""
        return self.node.status()

    async def check_change(self, asked: Asked, where: str) -> bool | RequestError | ChangeUnderWay:
        """Whether this replica is meant, or why it cannot do what is asked; nothing changes."""
        if not self.node.place.is_meant(where):
            return False
        try:
            await self.node.check(asked)
        except (RequestError, ChangeUnderWay) as error:
            return error  # raised, Ray would wrap it
        return True

    async def begin_change(self, asked: Asked, where: str) -> Begun | None:
        """Begin what `check_change` allowed, if this replica is meant."""
        return self.node.begin(asked) if self.node.place.is_meant(where) else None

    def record_autoscaling_stats(self) -> dict[str, float]:
        """This replica's load since the last time it was asked; what `deploy.autoscale` decides by."""
        batcher, now, (before, busy) = self.node.service.batcher, time.monotonic(), self.measured
        self.measured = (now, batcher.busy_s)
        share = min((batcher.busy_s - busy) / max(now - before, 1e-3), 1.0)
        return {LOAD: load_of(share, batcher.backlog_s)}

    async def check_health(self) -> None:
        """Raises RuntimeError where it should answer and cannot. One that stays out is well."""
        if self.node.out is None and not self.node.service.ready:
            raise RuntimeError("the service is not ready")

    async def __del__(self) -> None:
        """Give notice, answer what is under way, stop listening."""
        if self.server is not None:
            self.node.service.ready = False
            await asyncio.sleep(self.args.notice_seconds)
            await self.server.stop()


def _node(args: AppArgs, ladder: Ladder, name: str, folder: Path) -> "Node":
    # Here, as only a replica has a use for torch: without it the process that starts Ray is 140 MiB smaller.
    from deploy.load_node import load_node
    from deploy.node import Place

    context, gpus = ray.get_runtime_context(), "-".join(map(str, ray.get_gpu_ids()))
    place = Place(
        replica=name,
        node=context.get_node_id()[:12],
        group=context.get_node_labels().get(GROUP_LABEL),
        device=_device(args.device),
        address="",  # known once it listens
    )
    return load_node(args, ladder, place, Attempt(folder, gpus or "cpu"))


def _device(asked: str) -> str:
    import torch

    if asked == "auto":  # in a mixed fleet, a node without a GPU has a slot for one in Ray all the same
        return "cuda" if ray.get_gpu_ids() and torch.cuda.is_available() else "cpu"
    return asked
