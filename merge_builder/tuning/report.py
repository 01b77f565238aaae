"""What a search found, what it is worth on the held-out rows, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from merge_builder.evaluation import TaskData
from merge_builder.evaluation.bootstrap import Interval, interval, paired_ratios
from merge_builder.ladder import RungSize
from merge_builder.ladder.additions import Tuned
from merge_builder.tuning.candidate import Genes
from merge_builder.tuning.journal import Cost
from merge_builder.tuning.scorer import Outcome
from merge_builder.tuning.settings import Settings


@dataclass(frozen=True)
class HeldOut:
    """Accuracy relative to the experts' on rows that no search has seen; `interval` is the mean's, 95 %, paired."""

    mean: float
    interval: Interval
    worst: float
    worst_task: str
    tasks: Mapping[str, float]


@dataclass(frozen=True)
class RungReport:
    """One rung: the best candidate of the search and the untuned ladder, on held-out rows.

    `found` is None where the search scored nothing on all its rows. `because` says why it was published or was not.
    `sure` is the share of resamples in which what was found is better.
    `pareto` holds candidates that no other dominates across the tasks, on the search's rows, where it was asked for.
    """

    rung: RungSize
    published: bool
    because: str
    genes: Genes | None
    untuned: HeldOut
    found: HeldOut | None
    cost: Cost
    sure: float = 0.0
    pareto: Sequence[tuple[Genes, Mapping[str, float]]] = ()


@dataclass(frozen=True)
class Report:
    """The whole of a `tune`: its rungs, the cost of scoring the experts, and the Fisher passes computed."""

    out: Path
    settings: Settings
    rungs: tuple[RungReport, ...]
    experts_cost: Cost
    fisher_passes: int
    held_out_rows: int

    @property
    def document(self) -> dict[str, Any]:
        """What `mergeladder tune --json` prints."""
        return {
            "ladder": str(self.out),
            "tuner": self.settings.tuner,
            "seed": self.settings.seed,
            "search_rows": self.settings.rows,
            "held_out_rows": self.held_out_rows,
            "rungs": [_rung(own) for own in self.rungs],
            "experts_cost": vars(self.experts_cost),
            "fisher_passes": self.fisher_passes,
        }


def sureness(found: Outcome, untuned: Outcome) -> float:
    """The share of paired bootstrap resamples of the rows in which `found` is above `untuned`, in the tasks' mean."""
    ratios = [paired_ratios(right, untuned.right[task], task) for task, right in found.right.items()]
    return float((np.mean(ratios, axis=0) > 1).mean())


def held_out_score(outcome: Outcome) -> HeldOut:
    """`outcome` of a candidate and the experts on the same rows."""
    samples = [paired_ratios(right, outcome.experts[task], task) for task, right in outcome.right.items()]
    worst = min(outcome.tasks, key=lambda task: outcome.tasks[task])
    return HeldOut(outcome.mean, interval(np.mean(samples, axis=0)), outcome.tasks[worst], worst, dict(outcome.tasks))


def tuned_entry(report: RungReport, settings: Settings, data: Mapping[str, TaskData]) -> Tuned:
    """What a ladder's manifest keeps of a published result."""
    assert report.genes is not None, "what is published has genes"
    assert report.found is not None, "what is published was scored"
    return Tuned(
        rung=report.rung.index,
        tuner=settings.tuner,
        parameters=dict(report.genes),
        seed=settings.seed,
        data={task: own.sha256 for task, own in data.items()},
        untuned=report.untuned.mean,
        tuned=report.found.mean,
        evaluations=report.cost.evaluations,
        libraries={"optuna": version("optuna")},
    )


def _rung(own: RungReport) -> dict[str, Any]:
    return {
        "rung": own.rung.index,
        "ratio": own.rung.ratio,
        "published": own.published,
        "because": own.because,
        "parameters": own.genes,
        "untuned": vars(own.untuned),
        "found": None if own.found is None else vars(own.found),
        "sure": own.sure,
        "cost": vars(own.cost),
        "pareto": [{"parameters": genes, "tasks": dict(tasks)} for genes, tasks in own.pareto],
    }
