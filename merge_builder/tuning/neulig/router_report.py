"""What a router is worth on rows that it has not seen, and whether it is published."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.evaluation.bootstrap import RESAMPLES, Interval, interval


@dataclass(frozen=True)
class RouterReport:
    """What a router is worth on held-out rows: of each task's, the share that it gave to this task.

    `accuracy` is the mean over the tasks, `interval` its 95 % bootstrap interval, `chance` what a router of zeros has.
    """

    out: Path
    published: bool
    because: str
    accuracy: float
    interval: Interval
    chance: float
    tasks: Mapping[str, float]
    seed: int
    rows: int
    held_out_rows: int

    @property
    def document(self) -> dict[str, Any]:
        """What `mergeladder tune --json` prints."""
        return {"tuner": "neulig"} | vars(self) | {"out": str(self.out), "tasks": dict(self.tasks)}


def judged(out: Path, right: Mapping[str, NDArray[np.bool_]], seed: int, rows: int) -> RouterReport:
    """The report on a router that was trained on `rows` texts; `right` tells of each held-out text, by task, whether it
    was given to its own task."""
    draw = np.random.default_rng(0)
    resampled = [draw.binomial(len(own), own.mean(), RESAMPLES) / len(own) for own in right.values()]
    low, high = interval(np.mean(resampled, axis=0))
    chance = 1 / len(right)
    good = low > (1 + chance) / 2
    return RouterReport(
        out=out,
        published=good,
        because=f"on held-out rows it is {'nearer to always right than to' if good else 'not far enough above'} chance",
        accuracy=float(np.mean([own.mean() for own in right.values()])),
        interval=(low, high),
        chance=chance,
        tasks={task: float(own.mean()) for task, own in right.items()},
        seed=seed,
        rows=rows,
        held_out_rows=sum(map(len, right.values())),
    )
