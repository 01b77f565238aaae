"""What scores say of a rung as a whole: normalised to each expert's own (rung 0), the mean and the worst task.

for rung in summarise(ladder.manifest):
    print(rung.size.ratio, rung.mean, rung.worst_task)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from merge_builder.errors import InputError
from merge_builder.evaluation.bitmap import unpack
from merge_builder.evaluation.bootstrap import Interval, interval, paired_ratios, paired_spearman_ratios
from merge_builder.evaluation.ranks import Samples, unpack_pairs
from merge_builder.ladder.additions import Score
from merge_builder.ladder.manifest import Manifest, RungSize


@dataclass(frozen=True)
class TaskSummary:
    """One task on one rung: its score, and its accuracy over its expert's own with a paired bootstrap interval."""

    score: Score
    normalised: float
    interval: Interval


@dataclass(frozen=True)
class RungSummary:
    """One rung over all evaluated tasks. `tasks` is in the ladder's order; `mean` weighs every task alike."""

    size: RungSize
    tasks: Mapping[str, TaskSummary]
    mean: float
    mean_interval: Interval

    @property
    def worst_task(self) -> str:
        """The task that keeps the least of its expert's accuracy (of equals the first); its interval is the worst's."""
        return min(self.tasks, key=lambda task: self.tasks[task].normalised)

    @property
    def worst(self) -> TaskSummary:
        """How `worst_task` does."""
        return self.tasks[self.worst_task]


def summarise(
    manifest: Manifest, scores: Sequence[Score] | None = None, measure: Sequence[Score] = ()
) -> list[RungSummary]:
    """The rungs that `scores` (by default all that the manifest holds) can judge, from the smallest to the largest.

    Those are the rungs with a score for every task that rung 0 has one for, on the same rows: a mean over fewer tasks,
    or over older rows, could not be compared with the others. Empty where rung 0 was not evaluated. `measure` holds the
    scores of rung 0 to normalise to where `scores` are not measured by their own: int8 by the experts in float32.

    Raises:
        InputError: an expert gets no row right, or orders pairs no better than chance: nothing is relative to that.
        MergeLadderError: a score's row-by-row results are broken.
    """
    found = {(score.rung, score.task): score for score in (manifest.scores if scores is None else scores)}
    first = {score.task: score for score in (measure or found.values()) if score.rung == 0}
    experts = {task.name: first[task.name] for task in manifest.tasks if task.name in first}
    for task, score in experts.items():
        if score.metric == "spearman" and score.accuracy <= 0:
            raise InputError(
                f"the expert of task {task!r} has a rank correlation of {score.accuracy:.3f} on {score.rows} rows, so "
                "no score can be told relative to it: check that these pairs belong to this task, and that larger "
                "scores are for texts that are more alike"
            )
        if score.accuracy == 0:
            raise InputError(
                f"the expert of task {task!r} gets none of {score.rows} rows right, so no score can be told relative "
                "to it: check that these rows and their labels belong to this task"
            )
    summaries = []
    for size in manifest.rungs:
        own = {task: found.get((size.index, task)) for task in experts}
        complete = {t: s for t, s in own.items() if s is not None and s.data_sha256 == experts[t].data_sha256}
        if experts and len(complete) == len(experts):
            summaries.append(_summarise_rung(size, complete, experts))
    return sorted(summaries, key=lambda summary: (summary.size.bytes, -summary.size.index))


def _summarise_rung(size: RungSize, scores: Mapping[str, Score], experts: Mapping[str, Score]) -> RungSummary:
    samples: dict[str, Samples] = {}
    tasks = {}
    for task, score in scores.items():
        samples[task] = _ratios(score, experts[task], task)
        tasks[task] = TaskSummary(score, score.accuracy / experts[task].accuracy, interval(samples[task]))
    mean = float(np.mean([task.normalised for task in tasks.values()]))
    return RungSummary(size, tasks, mean, interval(np.mean(list(samples.values()), axis=0)))


def _ratios(score: Score, expert: Score, task: str) -> Samples:
    """Resampled quotients of the two, drawn in pairs."""
    if score.pairs is not None and expert.pairs is not None:
        return paired_spearman_ratios(
            unpack_pairs(score.pairs, score.rows), unpack_pairs(expert.pairs, score.rows), task
        )
    return paired_ratios(unpack(score.right, score.rows), unpack(expert.right, score.rows), task)
