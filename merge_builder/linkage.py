"""How alike the groups of one block are under a linkage, kept up to date while they merge."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from merge_builder.similarity import cosine

Linkage = Literal["min", "average", "ward", "sum"]
SQUARED: tuple[Linkage, ...] = ("ward", "sum")  # go by squared distances per byte, not by cosines
Group = tuple[int, ...]
Tasks = NDArray[np.intp]


@dataclass(frozen=True)
class Priorities:
    """Which tasks to spare: a weight stretches a task's distance to all others, a pinned task merges last of all.

    `weights[task]` is 1.0 by default; `pinned` holds task indices.
    """

    weights: tuple[float, ...]
    pinned: frozenset[int] = frozenset()

    def turns(self) -> tuple[Tasks, Tasks]:
        """The tasks that merge among themselves first, and those that do then: all but the pinned ones, and all."""
        everyone = np.arange(len(self.weights))
        return np.setdiff1d(everyone, list(self.pinned)), everyone


class Grouping:
    """One block's groups, each under its smallest task.

    `groups[i]`: the members of the group whose smallest task is i. `label[task]`: the smallest task of its group.
    `likeness[i, j]`: of two such groups, -inf where i or j is not one or both are the same; larger merges first. It is
    rounded, so that equal ones tie on every machine. A pair's weight, the mean of its tasks' weights, multiplies the
    distance: 1 - cosine, or what Ward's linkage or the sum of squared distances adds per byte.
    """

    def __init__(self, gram: NDArray[np.float64], size: int, linkage: Linkage, priorities: Priorities) -> None:
        tasks = len(gram)
        self.groups: dict[int, Group] = {task: (task,) for task in range(tasks)}
        self.label = np.arange(tasks)
        self._linkage, self._size = linkage, size
        self._weights = np.array(priorities.weights)
        self._counts = np.ones(tasks)
        # [i, j]: the sum over all pairs of members of group i and group j; for `min` the smallest.
        self._pairs = gram.copy()
        stretch = (self._weights[:, None] + self._weights[None, :]) / 2
        if linkage == "sum":
            own = np.diagonal(gram)
            self._pairs = np.maximum(own[:, None] + own - 2 * gram, 0.0) * stretch
        elif linkage != "ward":
            # Whole billionths: their sums are exact, so equal averages are equal whatever the order of summing.
            self._pairs = np.rint((1 - (1 - cosine(gram)) * stretch) * 1e9)
        self.likeness = np.stack([self._row(task) for task in range(tasks)])

    def closest(self, among: Tasks) -> tuple[float, int, int]:
        """The most alike pair of the groups whose smallest tasks are in `among`, behind its likeness.

        The first of equals is the one with the smallest tasks. The likeness is -inf where there is no pair.
        """
        if len(among) < 2:
            return -np.inf, 0, 0
        likeness = self.likeness if len(among) == len(self.likeness) else self.likeness[np.ix_(among, among)]
        left, right = divmod(int(likeness.argmax()), len(among))
        return float(likeness[left, right]), int(among[left]), int(among[right])

    def join(self, left: int, right: int) -> None:
        """Merge the groups whose smallest tasks are `left` and `right`, `left` being the smaller."""
        combine = np.minimum if self._linkage == "min" else np.add
        self._pairs[left] = combine(self._pairs[left], self._pairs[right])
        self._pairs[:, left] = combine(self._pairs[:, left], self._pairs[:, right])
        self._counts[left] += self._counts[right]
        self._weights[left] += self._weights[right]
        self.groups[left] = tuple(sorted(self.groups[left] + self.groups.pop(right)))
        self.label[list(self.groups[left])] = left
        self.likeness[right] = self.likeness[:, right] = -np.inf
        self.likeness[left] = self.likeness[:, left] = self._row(left)

    def _row(self, group: int) -> NDArray[np.float64]:
        """The likeness of `group` to every other."""
        counts, mine = self._counts, self._counts[group]
        row: NDArray[np.float64]
        if self._linkage == "ward":
            # |A||B|/(|A|+|B|) * ||mean_A - mean_B||^2: the squared error that merging adds (Ward, 1963).
            within = np.diagonal(self._pairs) / counts**2
            apart = np.maximum(within[group] + within - 2 * self._pairs[group] / (mine * counts), 0.0)
            weight = (self._weights[group] + self._weights) / (mine + counts)
            row = _significant(-(mine * counts / (mine + counts)) * apart * weight / self._size)
        elif self._linkage == "sum":
            # Every two tasks of a group disturb each other: a merge adds those between A and B, however many there are.
            row = _significant(-self._pairs[group] / self._size)
        else:
            row = self._pairs[group] / (mine * counts if self._linkage == "average" else 1) / 1e9
        row[self.label != np.arange(len(row))] = row[group] = -np.inf
        return row


def _significant(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """To 33 bits, some ten digits."""
    mantissa, exponent = np.frexp(values)
    rounded: NDArray[np.float64] = np.ldexp(np.rint(mantissa * 2.0**33), exponent - 33)
    return rounded + 0.0  # no -0.0
