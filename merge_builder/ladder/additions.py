"""The entries of `ladder.json` that come after the build: scores, what a search has made, a router."""

from typing import Any, Literal

from pydantic import Field

from merge_builder.closed import Closed
from merge_builder.ladder.fields import Sha256, TaskName, TensorSpec, missing


def _plain(metric: object) -> bool:
    return metric == "accuracy"


class Score(Closed):
    """How one task does on one rung; the intervals are 95 % bootstrap intervals.

    `data_sha256` is the hash of the rows file, so that a changed file is evaluated again. `right` tells row by row, in
    the file's order, which were predicted right (one bit each, base64), so that rungs can be compared in pairs. Of a
    token classification, words are what `rows` and `right` count; `macro_f1` is over entities where its labels tell
    where these begin.

    `metric` tells what `accuracy` is. Of questions it is the share answered exactly as SQuAD counts it, and `macro_f1`
    the mean over the rows. Of embeddings it is Spearman's rank correlation, and `pairs` has each row's cosine and the
    score that is right (float32, base64) in place of `right`.
    """

    rung: int
    task: TaskName
    rows: int
    data_sha256: Sha256
    metric: Literal["accuracy", "exact_match", "spearman"] = Field(default="accuracy", exclude_if=_plain)
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float | None = Field(default=None, exclude_if=missing)
    macro_f1_interval: tuple[float, float] | None = Field(default=None, exclude_if=missing)
    right: str
    pairs: str | None = Field(default=None, exclude_if=missing, repr=False)

    @property
    def measured(self) -> str:
        """The metric as people call it."""
        return self.metric.replace("_", " ").replace("spearman", "Spearman")


class Tuned(Closed):
    """A rung whose merged versions, as far as no larger rung's entry made them, a search with labelled rows has made.

    `parameters` describe how; `data` holds the hash of every task's rows. `untuned` and `tuned` are the means over the
    tasks, relative to the experts', on rows that the search never saw.
    """

    rung: int
    tuner: str
    parameters: dict[str, Any]
    seed: int
    data: dict[TaskName, Sha256]
    untuned: float
    tuned: float
    evaluations: int
    libraries: dict[str, str]


class Router(Closed):
    """What finds the task of a text that names none, at `router.safetensors` (`ladder.router`); of a text's tokens it
    reads the first `max_length`.

    `accuracy` is the mean over `tasks` of the share of held-out rows that it gave to their own task, and `interval` its
    95 % bootstrap interval; by chance it would be one over the number of tasks. `data` holds the hash of every task's
    rows.
    """

    bytes: int
    tensors: tuple[TensorSpec, ...]
    sha256: Sha256
    max_length: int
    seed: int
    data: dict[TaskName, Sha256]
    accuracy: float
    interval: tuple[float, float]
    tasks: dict[TaskName, float]
