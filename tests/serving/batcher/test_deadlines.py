"""What cannot be answered in time is refused, at once or at its turn."""

import asyncio
import math
import time

import pytest

from serving.batcher import Batcher
from serving.errors import DeadlineExceeded, Overloaded
from serving.metrics import Metrics

from .conftest import Engine, encoded, hold

pytestmark = pytest.mark.anyio


async def paced(engine: Engine, metrics: Metrics) -> Batcher:
    """A batcher with large batches that knows an engine which takes a tenth of a second, at least, for each token."""
    batcher = Batcher(engine.run, max_batch_tokens=100, max_queued_tokens=1000, metrics=metrics)
    engine.open.clear()
    slow = batcher.submit(encoded(*range(5)))
    await asyncio.sleep(0.5)
    engine.open.set()
    await slow
    return batcher


async def test_a_request_is_refused_at_once_for_what_is_ahead_of_it(engine: Engine, metrics: Metrics) -> None:
    batcher = await paced(engine, metrics)
    first = await hold(engine, batcher)
    waiting = [batcher.submit(encoded(*range(10))) for _ in range(4)]  # four seconds, or more
    now = time.perf_counter()
    with pytest.raises(Overloaded, match="ahead") as refused:
        batcher.check_time([encoded(1)], now + 3)
    with pytest.raises(Overloaded):
        batcher.check_time([encoded(*range(5))] * 2, now + 3)
    with pytest.raises(DeadlineExceeded, match="takes"):
        batcher.check_time([encoded(*range(5))] * 8, now + 3)
    batcher.check_time([encoded(1)], now + 1000)
    batcher.check_time([encoded(1, tasks=("bee",))], now + 3)  # its turn comes before the others are done
    engine.open.set()
    await asyncio.gather(first, *waiting)
    await batcher.aclose()

    assert 3 <= refused.value.retry_after_s <= 30


async def test_what_would_be_late_at_its_turn_fails_then_and_is_never_computed(
    engine: Engine, metrics: Metrics
) -> None:
    batcher = await paced(engine, metrics)
    first = await hold(engine, batcher)
    due = time.perf_counter() + 0.9
    kept, late = batcher.submit(encoded(2)), batcher.submit(encoded(*[1] * 10), due)
    engine.open.set()
    with pytest.raises(DeadlineExceeded):
        await late
    failed = time.perf_counter()
    await asyncio.gather(first, kept)
    await batcher.aclose()

    assert failed < due
    assert engine.batches[1:] == [[encoded(1)], [encoded(2)]]
    assert metrics.registry.get_sample_value("mergeladder_cancelled_total", {"stage": "late"}) == 1
    assert metrics.registry.get_sample_value("mergeladder_queue_depth") == 0


async def test_nobody_is_made_late_by_those_who_share_its_batch(engine: Engine, metrics: Metrics) -> None:
    batcher = await paced(engine, metrics)
    first = await hold(engine, batcher)
    inputs = [encoded(7), encoded(*[1] * 60), encoded(8)]
    deadlines = [time.perf_counter() + 5, math.inf, math.inf]
    futures = [batcher.submit(item, deadline) for item, deadline in zip(inputs, deadlines, strict=True)]
    engine.open.set()
    await asyncio.gather(first, *futures)
    await batcher.aclose()

    assert engine.batches[2:] == [inputs[:1], inputs[1:]]


async def test_an_idle_engine_is_tried_however_slow_it_was(engine: Engine, metrics: Metrics) -> None:
    batcher = await paced(engine, metrics)
    item, due = encoded(*[1] * 90), time.perf_counter() + 5
    batcher.check_time([item], due)

    assert (await batcher.submit(item, due)).logits["ant"].item() == 90
    await batcher.aclose()
