"""One log record a request, told with its facts and none of its content: no text, no key, no path as it was typed."""

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.authorisation import is_open

log = logging.getLogger("mergeladder.requests")
CLIENT_CLOSED = 499  # told where no response was begun or a stream not ended, as proxies do; never sent


def logged(app: ASGIApp) -> ASGIApp:
    """Log every request at its end; health checks and metrics only where they fail.

    The record's `fields`: method, route (its template), status, ms, request_id, and where there are such: the numbers
    of tasks and inputs, trace_id and span_id, and the error's type. Nothing is done where the logger is off.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not log.isEnabledFor(logging.INFO):
            return await app(scope, receive, send)
        started = time.perf_counter()
        try:
            await app(scope, receive, send)
        finally:
            status = scope["state"].get("status", CLIENT_CLOSED)
            if status >= 400 or not is_open(scope["path"]):
                log.info("request", extra={"fields": _fields(scope, status, time.perf_counter() - started)})

    return middleware


def _fields(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    state: dict[str, Any] = scope["state"]
    tasks = len(state["tasks"]) if "tasks" in state else 1 if "task" in scope.get("path_params", ()) else None
    fields = {
        "method": scope["method"],
        "route": getattr(scope.get("route"), "path", None),
        "status": status,
        "ms": round(seconds * 1000, 3),
        "request_id": state["request_id"],
        "tasks": tasks,
        "inputs": state.get("inputs"),
        "trace_id": state.get("trace_id"),
        "span_id": state.get("span_id"),
        "error": state.get("error_type"),
    }
    return {name: value for name, value in fields.items() if value is not None}
