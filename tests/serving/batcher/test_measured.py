"""The batcher's metrics."""

import asyncio
from dataclasses import replace

import pytest

from serving.batcher import Batcher
from serving.metrics import Metrics

from .conftest import Engine, encoded, hold

pytestmark = pytest.mark.anyio


async def test_what_is_measured(batcher: Batcher, engine: Engine, metrics: Metrics) -> None:
    first = await hold(engine, batcher)
    futures = [batcher.submit(encoded(1, 2, tasks=("bee",))), batcher.submit(encoded(1, tasks=("ant", "bee")))]
    value = metrics.registry.get_sample_value
    assert value("mergeladder_queue_depth") == 2
    engine.open.set()
    await asyncio.gather(first, *futures)

    assert value("mergeladder_queue_depth") == 0
    assert value("mergeladder_queue_duration_seconds_count") == 3
    assert value("mergeladder_inference_duration_seconds_count", {"rung": "#3"}) == 2
    assert value("mergeladder_batch_size_sum") == 3
    assert value("mergeladder_batch_tokens_sum") == 4
    assert value("mergeladder_batch_tasks_sum") == 1 + 2
    assert value("mergeladder_reconstruct_duration_seconds_count", {"rung": "#3"}) is None  # nothing is masked


async def test_reconstruction_is_measured_where_versions_are_masked(engine: Engine, metrics: Metrics) -> None:
    block, versions = next(iter(engine.rung.versions.items()))
    masked = replace(engine.rung, bases={block: versions["ant"]})
    batcher = Batcher(
        lambda batch: replace(engine.run(batch), rung=masked, reconstruct_s=0.25),
        max_batch_tokens=8,
        max_queued_tokens=20,
        metrics=metrics,
    )
    await batcher.submit(encoded(1))
    await batcher.aclose()

    value = metrics.registry.get_sample_value
    assert value("mergeladder_reconstruct_duration_seconds_sum", {"rung": "#3"}) == 0.25
