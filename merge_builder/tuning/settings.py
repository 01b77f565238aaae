"""What a search is asked to do."""

from dataclasses import dataclass
from typing import Literal

TunerName = Literal["df-merge", "automerge"]


@dataclass(frozen=True)
class Settings:
    """`rungs` as `--rung` names them. `rows` is the most rows of a task that a candidate is scored on in the search;
    the best few are scored again on `RESCORE` times as many. `trials` counts candidates at each rung, `minutes` the
    wall clock over all of them. `groups` is the number of layer groups of automerge.
    """

    tuner: TunerName
    rungs: tuple[str, ...]
    rows: int = 96
    trials: int = 40
    minutes: float | None = None
    seed: int = 0
    groups: int = 2


RESCORE = 2
RESCORED = 5  # candidates
