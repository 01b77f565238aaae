"""One input on its way through the batcher: what it costs, and its answer."""

import asyncio
from dataclasses import dataclass

from merge_builder.ladder import Rung
from serving.engine.types import Input, Logits


@dataclass(frozen=True)
class Answer:
    """The logits of one input, a float32 array of shape (labels,) for each task asked, and how they came about.

    `queue_s` is the wait for the batch and `inference_s` the batch's time in the engine, in seconds.
    """

    logits: dict[str, Logits]
    rung: Rung
    queue_s: float
    inference_s: float


@dataclass(frozen=True)
class Job:
    """An input that waits for its answer, since `submitted` and of use until `deadline`, on the batcher's clock."""

    encoded: Input
    future: asyncio.Future[Answer]
    submitted: float
    deadline: float

    @property
    def cost(self) -> int:
        """As `batch_cost`."""
        return batch_cost(self.encoded)


def batch_cost(encoded: Input) -> int:
    """The tokens an input may occupy in the engine: its length, once for each task, as where they share no block."""
    return encoded.length * len(encoded.tasks)
