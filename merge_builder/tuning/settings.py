"""What a search is asked to do."""

from dataclasses import dataclass
from typing import Literal

TunerName = Literal["df-merge", "automerge", "depth"]
Objective = Literal["mean", "pareto"]


@dataclass(frozen=True)
class Settings:
    """`rungs` as `--rung` names them. `rows` is the most rows of a task that a candidate is scored on in the search;
    the best few are scored again on `RESCORE` times as many. `trials` counts candidates at each rung, `minutes` the
    wall clock over all of them, in equal shares. `groups` is the number of layer groups of automerge; with the
    `objective` pareto it looks for what is good for some tasks too, and the report holds what nothing else dominates.
    What is published is the best in the mean with either. `at_once` is how many points df-merge asks for before it
    scores any: as many as there are workers.
    """

    tuner: TunerName
    rungs: tuple[str, ...]
    rows: int = 96
    trials: int = 40
    minutes: float | None = None
    seed: int = 0
    groups: int = 2
    objective: Objective = "mean"
    at_once: int = 1


RESCORE = 2
RESCORED = 5  # candidates
