"""The FastAPI application over a service.

app = create_app(Service(engine, choice))
uvicorn.run(app)
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from merge_builder.errors import MergeLadderError
from serving.api import embeddings, nodes, page, v1, v2
from serving.api.authorisation import authorised
from serving.api.bodies import body_schemas
from serving.api.errors import error_response
from serving.api.examples import EXAMPLES, OF_IMAGES, ROUTED
from serving.api.forwarding import Forwarder, forwarded
from serving.api.keys import accepts_keys_in
from serving.api.lifetime import lived
from serving.api.middleware import bounded, headed, identified, measured
from serving.api.request_log import logged
from serving.fleet import Fleet
from serving.node_metrics import Replica, gather, telling
from serving.service import Service

MAX_BODY_BYTES = {"text": 2 * 1024**2, "image": 16 * 1024**2}  # some photos as cameras write them
_DESCRIPTION = "One shared model answers every task. Every answer names the rung of the ladder that computed it."


def create_app(
    service: Service,
    *,
    max_body_bytes: int | None = None,
    max_seconds: float = 60,
    keys: Path | None = None,
    admin_keys: Path | None = None,
    replica: Replica | None = None,
    fleet: Fleet | None = None,
) -> FastAPI:
    """All routes over `service`, which starts and drains with the application's lifespan.

    No request has more than `max_body_bytes` (if None, `MAX_BODY_BYTES` of what the ladder takes), nor waits longer
    than `max_seconds` for its answer. `keys` and `admin_keys` are files of bearer keys (`serving.api.keys`); without
    them none is asked for.

    Where several replicas share a port, `/metrics` tells of all of them if each is given its `replica`. With a `fleet`
    there are `/v1/nodes` and `/admin/v1/budget`, and what needs a larger rung is asked of another replica.
    """

    forwarder = None if fleet is None else Forwarder(fleet, service.manifest)

    def exposition() -> bytes:
        return generate_latest(service.metrics.registry)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # a tenth of a second that would hold others up if it waited for who asks first
        async with nullcontext() if replica is None else telling(replica, exposition):
            await service.start()
            yield
            await service.aclose()
        if forwarder is not None:
            await forwarder.aclose()

    app = FastAPI(
        title="MergeLadder",
        version=version("mergeladder"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,  # the redirect would lead from a proxy's https to http
    )
    app.include_router(page.routes(service))
    app.include_router(v1.routes(service))
    app.include_router(embeddings.routes(service))
    app.include_router(v2.routes(service))
    if fleet is not None:
        app.include_router(nodes.routes(fleet))

    @app.get("/metrics", tags=["metrics"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """The metrics, for Prometheus: this server's, or those of all replicas behind its port, by replica."""
        text = await asyncio.to_thread(exposition) if replica is None else await gather(replica.folder)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    app.add_exception_handler(MergeLadderError, error_response)
    app.add_exception_handler(HTTPException, error_response)
    # The one added last is the outermost.
    app.add_middleware(bounded, max_body_bytes=max_body_bytes or MAX_BODY_BYTES[service.engine.modality])
    if forwarder is not None:
        app.add_middleware(forwarded, forwarder=forwarder)
    app.add_middleware(lived, most_seconds=max_seconds)
    app.add_middleware(
        authorised,
        keys=None if keys is None else accepts_keys_in(keys),
        admin_keys=None if admin_keys is None else accepts_keys_in(admin_keys),
    )
    app.add_middleware(measured, metrics=service.metrics)
    app.add_middleware(identified)
    app.add_middleware(logged)
    app.add_middleware(headed)
    app.openapi = _document_of(app, service)  # type: ignore[method-assign]
    return app


def _document_of(app: FastAPI, service: Service) -> Callable[[], dict[str, Any]]:
    """The OpenAPI document of `app`, made when it is first asked for."""

    @cache
    def document() -> dict[str, Any]:
        made = FastAPI.openapi(app)
        schemas = made["components"]["schemas"]
        schemas |= body_schemas((*v1.BODIES, *embeddings.BODIES, *v2.BODIES, *nodes.BODIES))
        for model, example in {**EXAMPLES, **(OF_IMAGES if service.engine.modality == "image" else {})}.items():
            schemas[model.__name__]["examples"] = [example]
        for model, example in (ROUTED if service.has_router else {}).items():
            schemas[model.__name__]["examples"].append(example)
        return made

    return document
