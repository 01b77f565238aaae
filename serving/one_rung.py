"""One answer, one rung: all parts of an answer come from the same one."""

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from serving.batcher import Batcher
from serving.encoding import Row
from serving.job import Answer

if TYPE_CHECKING:
    from serving.engine.engine import Engine


async def answer_by_one_rung(
    engine: "Engine", batcher: Batcher, rows: Sequence[Row], deadline: float = math.inf
) -> list[Answer]:
    """The rows' answers, all by one rung: if it changed on the way, what the old one computed is asked again.

    All rows or none: if one is refused, fails or is cancelled, the others are given up.
    """
    batcher.check_time([row.encoded for row in rows], deadline)
    answers = await _submit(batcher, rows, deadline)
    while len({answer.rung.name for answer in answers}) > 1:
        current = engine.rung.name
        stale = [i for i, answer in enumerate(answers) if answer.rung.name != current]
        for i, answer in zip(stale, await _submit(batcher, [rows[i] for i in stale], deadline), strict=True):
            answers[i] = answer
    return answers


async def _submit(batcher: Batcher, rows: Sequence[Row], deadline: float) -> list[Answer]:
    futures: list[asyncio.Future[Answer]] = []
    try:
        for row in rows:
            futures.append(batcher.submit(row.encoded, deadline))
        return await asyncio.gather(*futures)
    finally:
        for future in futures:
            future.cancel()  # does nothing to those that are done
