"""The answers to a long list of inputs, one by one and in order, while only a window of it is queued and kept.

async for result in stream(service, [Text("a fine film"), Text("a dull one")], [("sst2",)] * 2):
    result.logits["sst2"]
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from itertools import chain, groupby

from merge_builder.ladder import RungSize
from serving.encoding import Row
from serving.errors import Overloaded
from serving.floor import check_rung
from serving.inputs import Input
from serving.job import Answer, batch_cost
from serving.result import Result, make_result
from serving.route_inputs import route_inputs
from serving.routing import Route
from serving.service import Service

Rows = Sequence[Row]  # those of one input
_CHUNK = 32  # inputs that are read at once


async def stream(
    service: Service,
    inputs: Sequence[Input],
    tasks: Sequence[Sequence[str] | None],
    *,
    truncate: bool = True,
    overlap: int | None = None,
    min_rung: str | None = None,
    min_score: float | None = None,
) -> AsyncGenerator[Result, None]:
    """As `service.predict_each`, but a result for each input, in order: each as soon as it is known, by its own rung.

    However many inputs there are, few are tokenised and queued ahead of what the caller has taken. Of the timings,
    `tokenize` and `total` run from the start of the stream. Close it to give up what has not been computed.
    """
    started, tokenize = time.perf_counter(), 0.0
    named = tuple(dict.fromkeys(chain.from_iterable(filter(None, tasks))))
    least = service.accept([named], min_rung=min_rung, min_score=min_score)
    # Of inputs whose tasks the router chooses, what it chose and the rung that this needs.
    chosen: dict[int, tuple[Route, RungSize | None]] = {}

    async def encoded() -> AsyncIterator[Rows]:
        nonlocal tokenize
        for first in range(0, len(inputs), _CHUNK):
            before, some = time.perf_counter(), slice(first, first + _CHUNK)
            asked, routes = await route_inputs(service.reader, service.metrics, inputs[some], tasks[some], first=first)
            if routes:
                needed = service.accept([named, *asked], min_rung=min_rung, min_score=min_score)
                chosen.update({place: (route, needed) for place, route in routes.items()})
            rows = await service.reader.read(inputs[some], asked, truncate=truncate, first=first, overlap=overlap)
            tokenize += time.perf_counter() - before
            for _, own in groupby(sorted(rows, key=_place), _place):
                yield list(own)

    async def answer(rows: Rows) -> list[Answer]:
        service.limits.check_rows(f"inputs[{rows[0].place}]", rows)
        return await service.answer(rows)

    async with aclosing(in_order(encoded(), answer, service.stream_window)) as answered:
        async for rows, answers in answered:
            place, total = rows[0].place, time.perf_counter() - started
            route, needed = chosen.pop(place, (None, least))
            check_rung(answers[0].rung, needed)
            service.count(rows)
            asked = route.tasks if route else tasks[place] or ()
            routes = {place: route} if route else {}
            yield make_result(rows, answers, [asked], tokenize=tokenize, total=total, first=place, routes=routes)
    service.metrics.tokenize_duration.observe(tokenize)


async def in_order(
    inputs: AsyncIterator[Rows], answer: Callable[[Rows], Awaitable[list[Answer]]], window: int
) -> AsyncGenerator[tuple[Rows, list[Answer]], None]:
    """Each input's rows with their answers, in the order of `inputs`, which are drawn only as the answers are taken.

    At most `window` tokens are being answered or wait to be taken (an input that has more by itself is alone). Where
    the queue is full, the first input fails; later ones wait as long as they are asked to, and are asked again.

    Raises:
        Exception: whatever `answer` raised for the input whose turn it is; the others are given up.
    """
    waiting: deque[tuple[Rows, int, asyncio.Task[list[Answer]]]] = deque()
    held, patient = 0, False

    async def ask(rows: Rows, patient: bool) -> list[Answer]:
        while True:
            try:
                return await answer(rows)
            except Overloaded as error:
                if not patient:
                    raise
                await asyncio.sleep(error.retry_after_s or 1)

    try:
        async for rows in inputs:
            cost = sum(batch_cost(row.encoded) for row in rows)
            while waiting and held + cost > window:
                yield waiting[0][0], await waiting[0][2]
                held -= waiting.popleft()[1]
            waiting.append((rows, cost, asyncio.create_task(ask(rows, patient))))
            held, patient = held + cost, True
        while waiting:
            yield waiting[0][0], await waiting[0][2]
            waiting.popleft()
    finally:
        for _, _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in waiting), return_exceptions=True)


def _place(row: Row) -> int:
    return row.place
