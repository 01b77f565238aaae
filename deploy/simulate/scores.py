"""The score of every task at any rung, from what `mergeladder evaluate` left in the ladder."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merge_builder.errors import InputError
from merge_builder.evaluation import RungSummary, summarise
from merge_builder.ladder import Manifest, RungSize


@dataclass(frozen=True)
class Scores:
    """`tasks` in the ladder's order; `rungs` are the evaluated ones, from the smallest."""

    tasks: tuple[str, ...]
    rungs: tuple[RungSummary, ...]

    @property
    def shares(self) -> NDArray[np.bool_]:
        """Of each task whether its score is the share of answers that are right: a rank correlation is not."""
        measured = [self.rungs[0].tasks[task].score.metric for task in self.tasks]
        return np.array([metric != "spearman" for metric in measured])

    def at(self, size: RungSize) -> NDArray[np.float64]:
        """The score of each task at `size`: straight between the evaluated rungs on either side of it."""
        ratios = [rung.size.ratio for rung in self.rungs]
        scores = [[rung.tasks[task].score.accuracy for rung in self.rungs] for task in self.tasks]
        return np.array([np.interp(size.ratio, ratios, own) for own in scores])


def scores_of(manifest: Manifest) -> Scores:
    """The scores of `manifest`.

    Raises:
        InputError: a task, the largest or the smallest rung has none, so that they cannot be told by interpolation.
    """
    rungs = tuple(sorted(summarise(manifest), key=lambda rung: rung.size.ratio))
    tasks = tuple(task.name for task in manifest.tasks)
    unscored = [task for task in tasks if not rungs or task not in rungs[0].tasks]
    smallest = min(manifest.rungs, key=lambda rung: (rung.bytes, rung.index))
    if unscored or rungs[0].size.ratio > smallest.ratio + 1e-9:
        what = f"task {unscored[0]!r}" if unscored else f"the smallest rung (#{smallest.index})"
        raise InputError(
            f"{what} of this ladder has no scores, and answers are weighed by them: run "
            "mergeladder evaluate LADDER --data DATA.yaml --rungs 1,2,4 with rows for every task first"
        )
    return Scores(tasks, rungs)
