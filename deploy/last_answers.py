"""What a server that stops answers: each answer is the last of its connection."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.lifetime import LEAVING


def last_answers(app: ASGIApp, leaving: asyncio.Event) -> ASGIApp:
    """`app`, whose answers are the last of their connections once `leaving` is set.

    It is told so too: of a request that uvicorn cancels at the end of a stop, uvicorn says "Internal Server Error".
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and leaving.is_set():
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        scope["state"][LEAVING] = leaving
        await app(scope, receive, send_last)

    return wrapped
