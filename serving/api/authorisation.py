"""Who may pass: requests with a bearer key, apart from health checks and metrics, which stay open."""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.errors import Unauthorized, error_response
from serving.api.keys import Accepts


def authorised(app: ASGIApp, keys: Accepts | None, admin_keys: Accepts | None) -> ASGIApp:
    """Ask for a key of `admin_keys` under /admin and of `keys` elsewhere; None asks for none.

    Where there are `keys` but no `admin_keys`, nobody passes under /admin.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            await app(scope, receive, send)
            return
        admin = scope["path"] == "/admin" or scope["path"].startswith("/admin/")
        needed = (admin_keys or (keys and _nobody)) if admin else keys
        request = Request(scope)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if needed is None or (scheme.lower() == "bearer" and needed(key.strip())):
            await app(scope, receive, send)
            return
        problem = f"send a key{' for administrators' if admin else ''} as `Authorization: Bearer KEY`"
        await (await error_response(request, Unauthorized(problem)))(scope, receive, send)

    return middleware


def is_open(path: str) -> bool:
    """Whether what watches the server may ask for `path` without a key."""
    return path in ("/metrics", "/-/healthz") or path.startswith("/v2/health/")


def _nobody(_: str) -> bool:
    return False
