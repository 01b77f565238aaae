"""The queue's bound, when to come back, and turns among tasks."""

import asyncio
import time

import pytest

from serving.batcher import Batcher
from serving.errors import Overloaded
from serving.metrics import Metrics

from .conftest import Engine, encoded, hold

pytestmark = pytest.mark.anyio


async def test_a_full_queue_is_an_error_that_tells_when_to_come_back(batcher: Batcher, engine: Engine) -> None:
    first = await hold(engine, batcher)
    futures = [batcher.submit(encoded(*range(8))) for _ in range(2)]
    with pytest.raises(Overloaded) as refused:
        batcher.submit(encoded(*range(5)))
    fits = batcher.submit(encoded(*range(4)))
    engine.open.set()
    await asyncio.gather(first, *futures, fits)

    assert 1 <= refused.value.retry_after_s <= 30
    assert sum(len(batch) for batch in engine.batches) == 4


async def test_retry_after_is_what_the_queue_takes_at_the_recent_speed(engine: Engine, metrics: Metrics) -> None:
    batcher = Batcher(engine.run, max_batch_tokens=1, max_queued_tokens=50, metrics=metrics)
    engine.open.clear()
    slow, started = batcher.submit(encoded(*range(5))), time.perf_counter()
    await asyncio.sleep(1)
    engine.open.set()
    await slow
    slowest = time.perf_counter() - started
    await hold(engine, batcher)
    for _ in range(5):
        batcher.submit(encoded(*range(10)))
    with pytest.raises(Overloaded) as refused:
        batcher.submit(encoded(1))
    engine.open.set()
    await batcher.aclose()

    # 5 tokens took between 1 s and `slowest`, 50 tokens wait; the jitter adds a quarter
    assert 10 <= refused.value.retry_after_s <= min(30, 12.5 * slowest + 1)


async def test_a_flood_of_one_task_does_not_hold_up_another(engine: Engine, metrics: Metrics) -> None:
    batcher = Batcher(engine.run, max_batch_tokens=512, max_queued_tokens=100_000, metrics=metrics)
    first = await hold(engine, batcher)
    flood = [batcher.submit(encoded(*[n] * 64)) for n in range(100, 600)]
    singles = [batcher.submit(encoded(*[n] * 64, tasks=("bee",))) for n in range(2)]
    engine.open.set()
    await asyncio.gather(first, *flood, *singles)
    order = [item for batch in engine.batches[1:] for item in batch]
    places = [place for place, item in enumerate(order) if item.tasks == ("bee",)]
    await batcher.aclose()

    assert max(places) < 3 * 256 // 64  # within three turns of 256 tokens, behind a flood of 125
    ants = [item.input_ids[0] for item in order if item.tasks == ("ant",)]
    assert ants == sorted(ants)


async def test_turns_are_counted_in_tokens(engine: Engine, metrics: Metrics) -> None:
    batcher = Batcher(engine.run, max_batch_tokens=512, max_queued_tokens=100_000, metrics=metrics)
    first = await hold(engine, batcher)
    long = [batcher.submit(encoded(*[1] * 256)) for _ in range(40)]
    short = [batcher.submit(encoded(*[1] * 16, tasks=("bee", "ant"))) for _ in range(320)]
    engine.open.set()
    await asyncio.gather(first, *long, *short)
    order = [item for batch in engine.batches[1:] for item in batch]
    await batcher.aclose()

    spent = {"ant": 0, "bee": 0}
    for item in order[: len(order) // 2]:
        spent[item.tasks[0]] += len(item.input_ids) * len(item.tasks)
        assert abs(spent["ant"] - spent["bee"]) <= 3 * 256


async def test_a_full_queue_makes_room_for_another_task_at_the_floods_cost(
    batcher: Batcher, engine: Engine, metrics: Metrics
) -> None:
    first = await hold(engine, batcher)
    flood = [batcher.submit(encoded(*range(5))) for _ in range(4)]
    single = batcher.submit(encoded(7, 7, tasks=("bee",)))
    with pytest.raises(Overloaded):
        batcher.submit(encoded(1, 2, 3, 4))
    with pytest.raises(Overloaded):
        batcher.submit(encoded(*range(14), tasks=("bee",)))
    engine.open.set()
    results = await asyncio.gather(first, *flood, single, return_exceptions=True)

    assert [isinstance(result, Overloaded) for result in results] == [False, False, False, False, True, False]
    assert metrics.registry.get_sample_value("mergeladder_queue_depth") == 0


async def test_those_who_are_refused_at_once_do_not_return_at_once(batcher: Batcher, engine: Engine) -> None:
    await hold(engine, batcher)
    batcher.submit(encoded(*range(20)))
    told = []
    for _ in range(60):
        with pytest.raises(Overloaded) as refused:
            batcher.submit(encoded(1))
        told.append(refused.value.retry_after_s)
    assert set(told) == {1, 2}
