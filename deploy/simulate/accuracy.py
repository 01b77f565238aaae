"""The accuracy of every task at any rung, from the scores that `mergeladder evaluate` left in the ladder."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merge_builder.errors import InputError
from merge_builder.evaluation import RungSummary, summarise
from merge_builder.ladder import Manifest, RungSize


@dataclass(frozen=True)
class Accuracy:
    """`tasks` in the ladder's order; `rungs` are the evaluated ones, from the smallest."""

    tasks: tuple[str, ...]
    rungs: tuple[RungSummary, ...]

    def at(self, size: RungSize) -> NDArray[np.float64]:
        """Accuracy of each task at `size`, in 0 to 1: straight between the evaluated rungs on either side of it."""
        ratios = [rung.size.ratio for rung in self.rungs]
        scores = [[rung.tasks[task].score.accuracy for rung in self.rungs] for task in self.tasks]
        return np.array([np.interp(size.ratio, ratios, own) for own in scores])


def accuracy_of(manifest: Manifest) -> Accuracy:
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
    return Accuracy(tasks, rungs)
