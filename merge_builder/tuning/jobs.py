"""Evaluations as plain data, so that they can be done elsewhere: by other processes, on other machines."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from merge_builder.linkage import Group
from merge_builder.recipe import Recipe
from merge_builder.tuning.candidate import Genes
from merge_builder.tuning.journal import Right
from merge_builder.tuning.settings import Settings

Part = Literal["search", "held-out"]


@dataclass(frozen=True)
class Job:
    """Rows `spans[task]` (from, to) of a part of the rows, by the candidate of `genes` at a rung, where the versions
    `settled` (block, group and genes) stay as an earlier search made them."""

    rung: int
    genes: Genes
    settled: tuple[tuple[str, Group, Genes], ...]
    part: Part
    spans: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Answer:
    """Which of a job's rows are right, by task, and the CPU seconds that it took."""

    right: Mapping[str, Right]
    cpu: float


# The answers to jobs in their order, whoever is done first.
Spread = Callable[[Sequence[Job]], Iterable[Answer]]


@dataclass(frozen=True)
class Setup:
    """What a worker needs to know of a search, once; `folder` holds its untuned ladder. Paths are absolute."""

    recipe: Recipe
    data: Path
    folder: Path
    settings: Settings
