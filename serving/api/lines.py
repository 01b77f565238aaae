"""Streamed answers, for clients that accept `application/x-ndjson`: a line of JSON for each input, then a last one.

The last line tells the model, the usage and the times; or, if the stream broke, the error. Without either it was cut
off. Everything that is wrong before the first line is ready is an ordinary error response.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.types import Send

from serving.api.answers import model_of, timings_of
from serving.api.errors import error_response
from serving.api.lifetime import too_late
from serving.api.request_log import CLIENT_CLOSED
from serving.api.schemas.answers import LastLine, Usage
from serving.result import Result
from serving.service import Service

MEDIA_TYPE = "application/x-ndjson"


def wants_lines(request: Request) -> bool:
    """Whether the client accepts lines."""
    accepted = request.headers.get("accept", "").split(",")
    return any(one.partition(";")[0].strip().lower() == MEDIA_TYPE for one in accepted)


async def respond_in_lines(
    request: Request, service: Service, results: AsyncGenerator[Result, None], line: Callable[[Result], BaseModel]
) -> Response:
    """`line` of each of `results` as soon as it is there; the client waits no longer than its deadline for any of them.

    Raises:
        Exception: whatever ended `results` before the first one.
    """
    first = await anext(results)  # its deadline is that of every request
    return _Lines(_lines(request, service, first, results, line), media_type=MEDIA_TYPE)


class _Lines(StreamingResponse):
    """A stream that is closed with its response, however that ends."""

    body_iterator: AsyncGenerator[bytes, None]

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):
            await super().stream_response(send)


async def _lines(
    request: Request,
    service: Service,
    result: Result,
    results: AsyncGenerator[Result, None],
    line: Callable[[Result], BaseModel],
) -> AsyncGenerator[bytes, None]:
    request.state.status = CLIENT_CLOSED  # unless it comes to its end
    tokens = truncated = 0
    async with aclosing(results):
        try:
            while True:
                tokens, truncated = tokens + result.tokens, truncated + result.truncated
                yield _json(line(result))
                try:
                    async with asyncio.timeout(request.state.seconds):
                        result = await anext(results)
                except TimeoutError:
                    raise too_late(request.state.seconds) from None
                except StopAsyncIteration:
                    break
        except Exception as error:
            response = await error_response(request, error)
            request.state.status = response.status_code
            yield bytes(response.body) + b"\n"
            return
    request.state.status = 200
    yield _json(
        LastLine(
            id=request.state.request_id,
            model=model_of(service, result),
            usage=Usage(tokens=tokens, truncated=truncated),
            timings_ms=timings_of(result),
        )
    )


def _json(line: BaseModel) -> bytes:
    return line.model_dump_json(exclude_none=True).encode() + b"\n"
