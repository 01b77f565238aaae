"""A node that answers over HTTP, with what a probe of its port asks."""

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from deploy.app_args import AppArgs
from deploy.http_server import Address, HttpServer, start_server
from serving.fleet import Fleet
from serving.node_metrics import Replica

if TYPE_CHECKING:
    from deploy.node import Node

DRAIN_SECONDS = 30.0  # how long a stop may take


async def listen(args: AppArgs, node: "Node", fleet: Fleet, folder: Path, *, shared: bool) -> HttpServer:
    """Answer at the address in `args`, which others may share if it is `shared`; `folder` is that of `node_folder`.

    A node that no rung fits listens too: to say so, and to be told another budget.

    Raises:
        OSError: the address cannot be listened on.
        RuntimeError: the application's start failed; the log tells why.
    """
    from serving.api.app import create_app  # torch comes with it

    replica = Replica(folder, node.place.replica)
    app = create_app(node.service, keys=args.keys, admin_keys=args.admin_keys, replica=replica, fleet=fleet)
    _add_probe(app, node, fleet)
    drain = DRAIN_SECONDS - 1 - args.notice_seconds
    return await start_server(app, Address(args.host, args.port), drain_seconds=drain, shared=shared)


def _add_probe(app: FastAPI, node: "Node", fleet: Fleet) -> None:
    async def healthz() -> PlainTextResponse:
        """What KubeRay's probes ask: whether this node's port leads to answers, be it by a replica beside this one."""
        if node.service.ready:
            return PlainTextResponse("success")
        here = [status.ready for status in await fleet.nodes() if status.node == node.place.node]
        why = node.out or "this replica is about to stop"
        return PlainTextResponse("success") if any(here) else PlainTextResponse(why, 503)

    app.add_api_route("/-/healthz", healthz, include_in_schema=False)
