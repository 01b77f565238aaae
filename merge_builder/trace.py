"""The trace: every merge from Mx down to 1x, greedily the most alike pair of groups over all blocks.

Source: FlexMerge, arXiv 2505.23209, section 2: complete linkage, that is, two groups are as alike as their least
alike members. Blocks do not influence each other, so each is agglomerated alone and a heap interleaves them.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merge_builder.linkage import Group, Grouping, Linkage, Priorities


@dataclass(frozen=True)
class Merge:
    """Groups `left` and `right` (task indices, ascending; `left` holds the smaller first index) of a block join."""

    block: int
    left: Group
    right: Group
    similarity: float


def make_trace(
    grams: Sequence[NDArray[np.float64]], block_bytes: Sequence[int], linkage: Linkage, priorities: Priorities
) -> list[Merge]:
    """All B(M-1) merges in order, from each block's M x M Gram matrix of task vectors.

    Ties go to the earlier block, then to the groups with the smallest task index.
    """
    queues = [
        _agglomerate(block, Grouping(matrix, size, linkage, priorities), priorities)
        for block, (matrix, size) in enumerate(zip(grams, block_bytes, strict=True))
    ]
    heap: list[tuple[bool, float, int, Merge]] = []

    def push(block: int) -> None:
        if (merge := next(queues[block], None)) is not None:
            # Every merge that touches no pinned task goes first.
            touches_pinned = not priorities.pinned.isdisjoint(merge.left + merge.right)
            heapq.heappush(heap, (touches_pinned, -merge.similarity, block, merge))

    for block in range(len(queues)):
        push(block)
    trace = []
    while heap:
        *_, block, merge = heapq.heappop(heap)
        trace.append(merge)
        push(block)
    return trace


def _agglomerate(block: int, grouping: Grouping, priorities: Priorities) -> Iterator[Merge]:
    for among in priorities.turns():
        while (closest := grouping.closest(among))[0] > -np.inf:
            yield join(block, grouping, *closest[1:])


def join(block: int, grouping: Grouping, left: int, right: int) -> Merge:
    """Merge the groups whose smallest tasks are `left` and `right` in `grouping`, and tell of it."""
    left, right = sorted((left, right))
    merge = Merge(block, grouping.groups[left], grouping.groups[right], float(grouping.likeness[left, right]))
    grouping.join(left, right)
    return merge
