"""How long a request lives: until its deadline, until its client hangs up or its server stops, whichever comes first.

All end it the same way: its handler is cancelled and with it its inputs, which the batcher then never computes. The
server around this one does so by itself, to what it gives up when it stops.
"""

import asyncio
import math
import time
from contextlib import suppress

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.errors import KINDS, InvalidRequest, error_response
from serving.errors import DeadlineExceeded, Draining

TIMEOUT = "x-request-timeout-seconds"
LEAVING = "leaving"  # of the scope's state: an asyncio.Event that a server sets when it begins to stop
_WAY_BACK = 0.1  # the share of the time, and the most seconds, that are kept for the answer's way to the client
_LONGEST_WAY_BACK_S = 0.25


def lived(app: ASGIApp, most_seconds: float) -> ASGIApp:
    """End a request that is not being answered in `x-request-timeout-seconds`, by default and at most `most_seconds`.

    A response that has begun is not cut off here; one that streams looks at `state.seconds` between its lines. What a
    client who hung up asked for is given up silently. What a server that is `LEAVING` cancels is answered as draining;
    where the response had begun, that is at least what is counted and logged.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        read, gone, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def receive_body() -> Message:
            if read.is_set():  # from here on `hang_up` is the one who listens
                await gone.wait()
                return {"type": "http.disconnect"}
            message = await receive()
            if not message.get("more_body"):
                read.set()
            if message["type"] == "http.disconnect":
                gone.set()
            return message

        async def hang_up() -> None:
            await read.wait()
            while not gone.is_set():
                if (await receive())["type"] == "http.disconnect":
                    gone.set()
            work.cancel()

        async def send_and_look(message: Message) -> None:
            begun.set()
            await send(message)

        try:
            seconds = _seconds(Request(scope), most_seconds)
        except InvalidRequest as refused:
            await (await error_response(Request(scope), refused))(scope, receive, send)
            return
        within = seconds - min(_WAY_BACK * seconds, _LONGEST_WAY_BACK_S)
        state = Request(scope).state
        state.seconds, state.deadline = seconds, time.perf_counter() + within
        work = asyncio.ensure_future(app(scope, receive_body, send_and_look))
        listener = asyncio.create_task(hang_up())
        given_up = False
        try:
            await asyncio.wait((work,), timeout=within)
            if begun.is_set():
                await asyncio.wait((work,))
            if work.done() and not gone.is_set():
                work.result()
                return
        except asyncio.CancelledError:
            if gone.is_set() or not _is_leaving(scope):
                raise
            if begun.is_set():
                cut_off = KINDS[Draining]
                state.status, state.error_type = cut_off.status, cut_off.type
                raise
            given_up = True
        finally:
            await _cancel(work, listener)
        if not gone.is_set():
            error = Draining() if given_up else too_late(seconds)
            await (await error_response(Request(scope), error))(scope, receive, send)

    return middleware


def too_late(seconds: float) -> DeadlineExceeded:
    """The error for an answer that did not come within `seconds`."""
    return DeadlineExceeded(
        f"there was no answer within {seconds:g} s: send fewer inputs, or allow more time by {TIMEOUT}"
    )


def _is_leaving(scope: Scope) -> bool:
    leaving: asyncio.Event | None = scope["state"].get(LEAVING)
    return leaving is not None and leaving.is_set()


def _seconds(request: Request, most: float) -> float:
    told = request.headers.get(TIMEOUT)
    if told is None:
        return most
    try:
        seconds = float(told)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidRequest(f"{TIMEOUT} must be a positive number of seconds, such as 2.5", TIMEOUT)
    return min(seconds, most)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
