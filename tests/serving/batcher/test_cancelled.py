"""Work that nobody waits for any more."""

import asyncio

import pytest

from serving.batcher import Batcher
from serving.metrics import Metrics

from .conftest import Engine, encoded, hold

pytestmark = pytest.mark.anyio


async def test_cancelled_work_is_dropped_before_it_is_batched(
    batcher: Batcher, engine: Engine, metrics: Metrics
) -> None:
    first = await hold(engine, batcher)
    kept, dropped = batcher.submit(encoded(2)), batcher.submit(encoded(3))
    waiter = asyncio.ensure_future(_wait(dropped))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    engine.open.set()
    await asyncio.gather(first, kept)

    assert engine.batches == [[encoded(1)], [encoded(2)]]
    assert metrics.registry.get_sample_value("mergeladder_cancelled_total", {"stage": "queue"}) == 1
    assert metrics.registry.get_sample_value("mergeladder_queue_depth") == 0


async def _wait(future: asyncio.Future) -> None:
    await future


async def test_what_is_cancelled_while_it_is_computed_harms_nobody(
    batcher: Batcher, engine: Engine, metrics: Metrics
) -> None:
    first = await hold(engine, batcher)
    first.cancel()
    second = batcher.submit(encoded(5))
    engine.open.set()

    assert (await second).logits["ant"].item() == 5
    assert metrics.registry.get_sample_value("mergeladder_cancelled_total", {"stage": "inference"}) == 1
