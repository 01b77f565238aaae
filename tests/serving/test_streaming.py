"""A window over a long list: order, bounds, patience, and what is given up."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from serving.encoding import Row
from serving.engine.types import Encoded
from serving.errors import Overloaded
from serving.streaming import in_order

pytestmark = pytest.mark.anyio


class Source:
    """Inputs of 10 tokens, and an answerer that answers an input when it is let."""

    def __init__(self, count: int) -> None:
        self.count, self.drawn, self.cancelled = count, 0, 0
        self.let = [asyncio.Event() for _ in range(count)]
        self.refusals = dict.fromkeys(range(count), 0)

    async def inputs(self) -> AsyncIterator[list[Row]]:
        for place in range(self.count):
            self.drawn += 1
            yield [Row(place, Encoded((1,) * 5, (0,) * 5, ("a", "b")))]

    async def answer(self, rows: Sequence[Row]) -> list[str]:
        place = rows[0].place
        if self.refusals[place]:
            self.refusals[place] -= 1
            error = Overloaded(1)
            error.retry_after_s = 0
            raise error
        try:
            await self.let[place].wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [f"answer {place}"]


async def test_answers_come_in_order_though_they_are_known_in_another() -> None:
    source = Source(5)
    answers = in_order(source.inputs(), source.answer, 1000)
    for place in (4, 2, 3, 1):
        source.let[place].set()
    first = asyncio.create_task(anext(answers))
    await asyncio.sleep(0.01)
    assert not first.done()

    source.let[0].set()
    assert [(await first)[1]] + [one async for _, one in answers] == [[f"answer {n}"] for n in range(5)]


async def test_no_more_than_the_window_is_drawn_ahead_of_what_was_taken() -> None:
    source = Source(20)
    for event in source.let:
        event.set()
    drawn = []
    async for _ in in_order(source.inputs(), source.answer, 35):
        await asyncio.sleep(0)
        drawn.append(source.drawn)

    # three inputs of 10 tokens fit, and the next one is at hand
    assert drawn == [min(4 + taken, 20) for taken in range(20)]


async def test_an_input_larger_than_the_window_is_alone() -> None:
    source = Source(3)
    for event in source.let:
        event.set()
    assert len([one async for one in in_order(source.inputs(), source.answer, 1)]) == 3


async def test_a_full_queue_refuses_the_first_input_and_only_delays_later_ones() -> None:
    source = Source(3)
    source.refusals[0] = 1
    with pytest.raises(Overloaded):
        [one async for one in in_order(source.inputs(), source.answer, 1000)]

    patient = Source(3)
    patient.refusals |= {1: 2, 2: 1}
    for event in patient.let:
        event.set()
    assert len([one async for one in in_order(patient.inputs(), patient.answer, 1000)]) == 3
    assert not any(patient.refusals.values())


@pytest.mark.filterwarnings("error")
async def test_closing_gives_up_what_is_not_answered() -> None:
    source = Source(10)
    source.let[0].set()
    async with aclosing(in_order(source.inputs(), source.answer, 45)) as answers:
        await anext(answers)

    assert (source.drawn, source.cancelled) == (5, 3)
