"""A batcher over a run function that computes something real and can be held up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from merge_builder.ladder import Ladder, Rung, rung_at
from serving.batcher import Batcher
from serving.engine.types import BatchOutput, Encoded
from serving.metrics import Metrics


def encoded(*ids: int, tasks: tuple[str, ...] = ("ant",)) -> Encoded:
    return Encoded(ids, (0,) * len(ids), tasks)


@dataclass
class Engine:
    """Adds up the token ids; waits while `open` is not set; refuses a batch that holds token 13."""

    rung: Rung
    open: threading.Event = field(default_factory=threading.Event)
    batches: list[list[Encoded]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    def run(self, batch: Sequence[Encoded]) -> BatchOutput:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.batches.append(list(batch))
        self.open.wait(10)
        self.running -= 1
        if any(13 in item.input_ids for item in batch):
            raise ValueError("thirteen")
        logits = tuple({task: np.float32([sum(item.input_ids)]) for task in item.tasks} for item in batch)
        return BatchOutput(logits, self.rung, sum(len(item.input_ids) for item in batch), 0)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["ant", "bee"])


@pytest.fixture
def engine(pico_ladder: Ladder) -> Engine:
    engine = Engine(rung_at(pico_ladder.manifest, 3))
    engine.open.set()
    return engine


@pytest.fixture
async def batcher(engine: Engine, metrics: Metrics) -> AsyncIterator[Batcher]:
    batcher = Batcher(engine.run, max_batch_tokens=8, max_queued_tokens=20, metrics=metrics)
    yield batcher
    engine.open.set()
    await batcher.aclose()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def hold(engine: Engine, batcher: Batcher) -> asyncio.Future:
    """Make the engine busy with one input until it is opened."""
    engine.open.clear()
    first = batcher.submit(encoded(1))
    await until(lambda: engine.running)
    return first
