"""The answers to a long list of inputs, one by one and in order, while only a window of it is queued and kept."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from serving.batcher import Answer, batch_cost
from serving.encoding import Row
from serving.errors import Overloaded

Rows = Sequence[Row]  # those of one input


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
