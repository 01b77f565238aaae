"""A server in this one process, without Ray: for a laptop, a container, a machine with one GPU.

It is what a replica under Ray Serve is, the same node behind the same HTTP server; but nothing starts it again if it
dies. What would, a container's restart policy or systemd, finds the note of what it died of (`deploy.attempt`).
"""

import asyncio
import logging
import os
import socket
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from deploy.access import OPEN, Access
from deploy.addresses import cannot_listen, check_address, reachable
from deploy.app_args import AppArgs
from deploy.attempt import Attempt, node_folder
from deploy.console import console, say
from deploy.fleet_of_one import FleetOfOne
from deploy.listening import listen
from deploy.local_args import local_args
from deploy.processors import processors
from deploy.sizing import Sizing
from deploy.stop_signal import interrupted_by_stop_signal, stop_event
from deploy.watch import Steady
from merge_builder.errors import MergeLadderError
from merge_builder.ladder import open_ladder
from serving.engine.types import Dtype
from serving.json_log import log_as_json

if TYPE_CHECKING:
    from deploy.node import Node

STOPPED_EARLY = "stopped before it was ready"


def serve_alone(
    ladder: Path, sizing: Sizing, *, host: str, port: int, access: Access = OPEN, dtype: Dtype = "float32"
) -> None:
    """Serve until SIGINT or SIGTERM; then answer what is under way and return.

    Raises:
        InputError: the ladder, the sizing, the address or a key file is wrong.
        MergeLadderError: no rung fits, or a stored file is broken.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Read when torch is loaded. By itself it would not see a container's quota.
    os.environ.setdefault("OMP_NUM_THREADS", str(processors()))
    args = local_args(ladder, sizing, host=host, port=port, access=access, dtype=dtype)
    check_address(host, port)
    _log()
    folder = node_folder(open_ladder(args.ladder).manifest.revision, port)
    if (node := _load_unless_stopped(args, folder)) is None:
        say(STOPPED_EARLY)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(args, node, sizing, folder))


def _log() -> None:
    """All of it, as under Ray, where stderr is collected; to a person who reads along only what is wrong."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING if console.is_terminal else logging.INFO)
    log_as_json(handler)


def _load_unless_stopped(args: AppArgs, folder: Path) -> "Node | None":
    stopped = threading.Event()
    try:
        with interrupted_by_stop_signal(stopped), console.status("loading the ladder"):
            node = _load(args, folder)
    except (KeyboardInterrupt, Exception):
        if not stopped.is_set():
            raise
    return None if stopped.is_set() else node


def _load(args: AppArgs, folder: Path) -> "Node":
    from deploy.load_node import load_node
    from deploy.node import Place

    place = Place(
        replica=uuid.uuid4().hex[:8],
        node=socket.gethostname(),
        group=None,
        device=args.device,
        address=f"http://{reachable(args.host)}:{args.port}",
    )
    return load_node(args, open_ladder(args.ladder), place, Attempt(folder, args.device))


async def _serve(args: AppArgs, node: "Node", sizing: Sizing, folder: Path) -> None:
    stopped = stop_event()
    await node.settle(sizing)
    if node.out is not None:
        raise MergeLadderError(f"the server did not start: {node.out}")
    if stopped.is_set():
        await node.service.aclose()
        say(STOPPED_EARLY)
        return
    try:
        server = await listen(args, node, FleetOfOne(node), folder, shared=False)
    except OSError as error:
        raise cannot_listen(args.host, args.port, error) from error
    watching = asyncio.create_task(node.follow_memory(Steady()))
    say(f"[bold green]ready[/] at {node.place.address}: {node.service.choice.reason}")
    say(f"open {node.place.address} to try it; Ctrl-C stops")
    await stopped.wait()
    say("stopping: requests that are under way are answered first")
    watching.cancel()
    node.service.ready = False
    await server.stop()
    await node.changed()  # a change that was cut off would look like a death of it
