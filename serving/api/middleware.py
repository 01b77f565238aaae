"""What every request passes on its way in and out, as plain ASGI: its id, its count, its size."""

import random
import re
import time
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.errors import BodyTooLarge, error_response
from serving.api.request_log import CLIENT_CLOSED
from serving.api.trace_context import HEADER, read_trace
from serving.metrics import OTHER, Metrics

_REJECTIONS = (413, 429, 503)
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


def identified(app: ASGIApp) -> ASGIApp:
    """Give the request an id, the client's own `X-Request-Id` if it is usable, and answer what nobody else caught.

    The id is sent back, and so is a `traceparent`, which is taken up. `state.status` is that of the response; a stream
    says by it how it ended.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        request, begun = Request(scope, receive), False
        theirs = request.headers.get("x-request-id", "")
        request_id = theirs if _REQUEST_ID.fullmatch(theirs) else f"{random.getrandbits(128):032x}"
        request.state.request_id = request_id
        headers = [(b"x-request-id", request_id.encode())]
        if trace := read_trace(request.headers.get(HEADER)):
            request.state.trace_id, request.state.span_id = trace.trace_id, trace.span_id
            request.state.traceparent = trace.header
            headers.append((HEADER.encode(), trace.header.encode()))

        async def send_with_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun, request.state.status = True, message["status"]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            await app(scope, receive, send_with_id)
        except Exception as error:
            response = await error_response(request, error)
            if not begun:
                await response(scope, receive, send_with_id)

    return middleware


def headed(app: ASGIApp) -> ASGIApp:
    """Answer HEAD as GET without the body: many monitors and load balancers ask so."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await app(scope, receive, send)

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        return await app(dict(scope) | {"method": "GET"}, receive, send_head)

    return middleware


def measured(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    """Count and time every POST, once for each task that it asked."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await app(scope, receive, send)
        started = time.perf_counter()
        try:
            with metrics.inflight.track_inprogress():
                await app(scope, receive, send)
        except Exception:
            scope["state"]["status"] = 500
            raise
        finally:
            _count(metrics, scope, time.perf_counter() - started)

    return middleware


def _count(metrics: Metrics, scope: Scope, seconds: float) -> None:
    state: dict[str, Any] = scope["state"]
    status = state.get("status", CLIENT_CLOSED)
    asked = state.get("tasks") or (scope.get("path_params", {}).get("task", OTHER),)
    for task in {metrics.task(name) for name in asked}:
        metrics.requests.labels(task, str(status)).inc()
        metrics.request_duration.labels(task).observe(seconds)
    if status in _REJECTIONS and "error_type" in state:
        metrics.rejected.labels(state["error_type"]).inc()


def bounded(app: ASGIApp, max_body_bytes: int) -> ASGIApp:
    """Refuse a body of more than `max_body_bytes`: at once where its length is told, else while it is read."""
    problem = f"the body has more than {max_body_bytes} bytes: send fewer inputs a request"

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if told.isdigit() and int(told) > max_body_bytes:
            response = await error_response(Request(scope), BodyTooLarge(problem))
            return await response(scope, receive, send)
        got = 0

        async def receive_bounded() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > max_body_bytes:
                raise BodyTooLarge(problem)
            return message

        return await app(scope, receive_bounded, send)

    return middleware
