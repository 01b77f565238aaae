"""The trace: every merge from Mx down to 1x, greedily the most alike pair of groups over all blocks.

Source: FlexMerge, arXiv 2505.23209, section 2: complete linkage, that is, two groups are as alike as their least
alike members. Blocks do not influence each other, so each is agglomerated alone and a heap interleaves them.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from merge_builder.similarity import cosine

Linkage = Literal["min", "average", "ward"]
Group = tuple[int, ...]
# Likeness of two groups of one block: larger merges first.
Likeness = Callable[[Group, Group], float]


@dataclass(frozen=True)
class Merge:
    """Groups `left` and `right` (task indices, ascending; `left` holds the smaller first index) of a block join."""

    block: int
    left: Group
    right: Group
    similarity: float


@dataclass(frozen=True)
class Priorities:
    """Which tasks to spare: a weight stretches a task's distance to all others, a pinned task merges last of all.

    `weights[task]` is 1.0 by default; `pinned` holds task indices.
    """

    weights: tuple[float, ...]
    pinned: frozenset[int] = frozenset()

    def spares(self, merge: Merge) -> bool:
        """Whether `merge` touches a pinned task, so that every merge that touches none goes first."""
        return not self.pinned.isdisjoint(merge.left + merge.right)


def equal_priorities(tasks: int) -> Priorities:
    """Every task alike: the plain trace."""
    return Priorities((1.0,) * tasks)


def make_trace(
    grams: Sequence[NDArray[np.float64]], block_bytes: Sequence[int], linkage: Linkage, priorities: Priorities
) -> list[Merge]:
    """All B(M-1) merges in order, from each block's M x M Gram matrix of task vectors.

    Ties go to the earlier block, then to the groups with the smallest task index.
    """
    queues = [
        iter(_agglomerate(block, likeness_of(matrix, size, linkage, priorities), priorities))
        for block, (matrix, size) in enumerate(zip(grams, block_bytes, strict=True))
    ]
    heap: list[tuple[bool, float, int, Merge]] = []

    def push(block: int) -> None:
        if (merge := next(queues[block], None)) is not None:
            heapq.heappush(heap, (priorities.spares(merge), -merge.similarity, block, merge))

    for block in range(len(queues)):
        push(block)
    trace = []
    while heap:
        *_, block, merge = heapq.heappop(heap)
        trace.append(merge)
        push(block)
    return trace


def _agglomerate(block: int, likeness: Likeness, priorities: Priorities) -> list[Merge]:
    groups: list[Group] = [(task,) for task in range(len(priorities.weights))]
    table = {pair: Merge(block, *pair, likeness(*pair)) for pair in combinations(groups, 2)}
    merges = []
    while len(groups) > 1:
        # Groups stay sorted by their first task, so the first of equals is the one with the smallest indices.
        candidates = (table[pair] for pair in combinations(groups, 2))
        best = min(candidates, key=lambda merge: (priorities.spares(merge), -merge.similarity))
        merges.append(best)
        merged = tuple(sorted(best.left + best.right))
        groups = sorted([group for group in groups if group not in (best.left, best.right)] + [merged])
        for other in groups:
            if other != merged:
                pair = (merged, other) if merged < other else (other, merged)
                table[pair] = Merge(block, *pair, likeness(*pair))
    return merges


def likeness_of(gram: NDArray[np.float64], size: int, linkage: Linkage, priorities: Priorities) -> Likeness:
    """The likeness of two groups in a block of `size` bytes, rounded so that equal ones tie on every machine.

    A pair's weight, the mean of its tasks' weights, multiplies the distance: 1 - cosine, or what Ward's linkage adds.
    """
    weights = np.array(priorities.weights)
    if linkage == "ward":
        return lambda a, b: _significant(-_distortion(gram, a, b) * weights[list(a + b)].mean() / size)
    stretch = (weights[:, None] + weights[None, :]) / 2
    # Whole billionths: their sums are exact, so equal averages are equal whatever the order of summing.
    cosines = np.rint((1 - (1 - cosine(gram)) * stretch) * 1e9)
    reduce = np.min if linkage == "min" else np.mean
    return lambda a, b: float(reduce(cosines[np.ix_(a, b)])) / 1e9


def _significant(value: float) -> float:
    return float(f"{value:.9e}")


def _distortion(gram: NDArray[np.float64], a: Group, b: Group) -> float:
    """|A||B|/(|A|+|B|) * ||mean_A - mean_B||^2: the squared error that merging adds (Ward, 1963)."""
    within_a, within_b = gram[np.ix_(a, a)].mean(), gram[np.ix_(b, b)].mean()
    distance = within_a + within_b - 2 * gram[np.ix_(a, b)].mean()
    return float(len(a) * len(b) / (len(a) + len(b)) * max(distance, 0.0))
