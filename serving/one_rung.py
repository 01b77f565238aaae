"""One answer, one rung: which rung may answer, and that all parts of an answer come from the same one."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from merge_builder.errors import InputError
from merge_builder.ladder import Manifest, Rung, RungSize, select
from serving.batcher import Answer, Batcher
from serving.encoding import Row
from serving.errors import RequestError, RungTooSmall

if TYPE_CHECKING:
    from serving.engine.engine import Engine


def least_rung(manifest: Manifest, min_rung: str | None) -> RungSize | None:
    """The smallest rung that may answer, which `min_rung` names in the form that `--rung` takes.

    Raises:
        RequestError: it names none.
    """
    try:
        return None if min_rung is None else select(manifest, min_rung)
    except InputError as error:
        raise RequestError(str(error), "parameters.min_rung") from error


def check_rung(current: Rung, least: RungSize | None) -> None:
    """Raises RungTooSmall if `current` is smaller than `least`."""
    if least is not None and current.size.index > least.index:
        raise RungTooSmall(
            f"the current rung is {current.name} ({current.size.ratio:.3f}x) and at least #{least.index} "
            f"({least.ratio:.3f}x) was asked for",
            "parameters.min_rung",
            least.index,
        )


async def answer_by_one_rung(engine: "Engine", batcher: Batcher, rows: Sequence[Row]) -> list[Answer]:
    """The rows' answers, all by one rung: if it changed on the way, what the old one computed is asked again.

    All rows or none: if one is refused, fails or is cancelled, the others are given up.
    """
    answers = await _submit(batcher, rows)
    while len({answer.rung.name for answer in answers}) > 1:
        current = engine.rung.name
        stale = [i for i, answer in enumerate(answers) if answer.rung.name != current]
        for i, answer in zip(stale, await _submit(batcher, [rows[i] for i in stale]), strict=True):
            answers[i] = answer
    return answers


async def _submit(batcher: Batcher, rows: Sequence[Row]) -> list[Answer]:
    futures: list[asyncio.Future[Answer]] = []
    try:
        for row in rows:
            futures.append(batcher.submit(row.encoded))
        return await asyncio.gather(*futures)
    finally:
        for future in futures:
            future.cancel()  # does nothing to those that are done
