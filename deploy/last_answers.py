"""What a server that stops answers: each answer is the last of its connection, and who is given up is told so."""

import asyncio
import uuid

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import Draining


def last_answers(app: ASGIApp, leaving: asyncio.Event) -> ASGIApp:
    """`app`, whose answers are the last of their connections once `leaving` is set.

    A request that uvicorn cancels at the end of a stop is told so as any other error; uvicorn says "Internal Server
    Error". One whose answer has begun is cut off.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_last(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                if leaving.is_set():
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        try:
            await app(scope, receive, send_last)
        except asyncio.CancelledError:
            if begun or not leaving.is_set():
                raise
            await (await _too_late(Request(scope)))(scope, receive, send_last)

    return wrapped


async def _too_late(request: Request) -> Response:
    from serving.api.errors import error_response

    if not hasattr(request.state, "request_id"):  # the application had not looked at it yet
        request.state.request_id = uuid.uuid4().hex
    response = await error_response(request, Draining())
    response.headers["x-request-id"] = request.state.request_id
    return response
