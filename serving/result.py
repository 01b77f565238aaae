"""What the service answers to one request."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merge_builder.ladder import Rung
from serving.batcher import Answer
from serving.encoding import Row
from serving.engine.types import Logits


@dataclass(frozen=True)
class Timings:
    """Seconds of one request. `queue` and `inference` are those of its input that was answered last."""

    queue: float
    tokenize: float
    inference: float
    total: float


@dataclass(frozen=True)
class Result:
    """One request's answer, all of it computed by `rung`.

    `logits[task]` is float32 of shape (inputs, labels of the task). `tokens` counts a text once for all tasks that get
    the same tokens; `truncated` counts the tokens that were cut off.
    """

    logits: dict[str, Logits]
    rung: Rung
    tokens: int
    truncated: int
    timings: Timings


def by_task(rows: Sequence[Row], answers: Sequence[Answer], tasks: Sequence[str], inputs: int) -> dict[str, Logits]:
    """The rows' logits as one array of shape (inputs, labels) a task."""
    found = {
        (row.place, task): logits
        for row, answer in zip(rows, answers, strict=True)
        for task, logits in answer.logits.items()
    }
    return {task: np.stack([found[place, task] for place in range(inputs)]) for task in tasks}
