"""A trace for requests that ask many tasks of one text: tasks stay together from the first stage on, so that a
text's rows fork as late as possible.

Blocks one by one, as the published greedy takes them, leave small ones apart in the first layers; two tasks that share
nearly all weights then share no work, as rows that have parted never join again. So here a candidate is a *path* too:
all that is still to be merged, in every block up to some stage, for two tasks to run as one up to there. It is worth
the bytes that are no longer stored and `WORK` for every byte that is no longer run twice; a block on its own is worth
what is no longer stored. The candidate with the smallest distance per byte goes first, the blocks of a path from the
first stage on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from merge_builder.linkage import SQUARED, Grouping, Linkage, Priorities, Tasks
from merge_builder.trace import Merge, join

# Little is enough: a norm has a thousandth of its layer's bytes. With more, early layers merge although they are the
# least alike, which costs accuracy; with 0 this is the plain trace (docs/results.md has the trade).
WORK = 0.1


def make_compute_trace(
    grams: Sequence[NDArray[np.float64]],
    block_bytes: Sequence[int],
    stages: Sequence[int],
    linkage: Linkage,
    priorities: Priorities,
) -> list[Merge]:
    """All B(M-1) merges in order; `stages[block]` numbers the stage of the forward pass that a block belongs to.

    Ties go to a path, the earlier stage or block, and then to the smallest task indices.
    """
    nearest = 0.0 if linkage in SQUARED else 1.0
    blocks = [Grouping(gram, size, linkage, priorities) for gram, size in zip(grams, block_bytes, strict=True)]
    paths = _Paths(blocks, block_bytes, stages, nearest)
    trace: list[Merge] = []
    for among in priorities.turns():
        closest = [grouping.closest(among) for grouping in blocks]
        while max(likeness for likeness, *_ in closest) > -np.inf:
            distance, stage, one, other = paths.shortest(among)
            block = max(range(len(blocks)), key=lambda b: closest[b][0])
            likeness, left, right = closest[block]
            if nearest - likeness < distance:
                merges = [join(block, blocks[block], left, right)]
            else:
                merges = _walk(blocks, stages, stage, one, other)
            paths.update(merges)
            for merge in merges:
                closest[merge.block] = blocks[merge.block].closest(among)
            trace += merges
    return trace


def _walk(blocks: Sequence[Grouping], stages: Sequence[int], last: int, one: int, other: int) -> list[Merge]:
    """Bring the tasks `one` and `other` together in every block up to the stage `last`; the most alike of a stage
    first."""
    pairs = []
    for block, grouping in enumerate(blocks):
        left, right = grouping.label[one], grouping.label[other]
        if stages[block] <= last and left != right:
            pairs.append((stages[block], -grouping.likeness[left, right], block, int(left), int(right)))
    return [join(block, blocks[block], left, right) for *_, block, left, right in sorted(pairs)]


class _Paths:
    """What every pair of tasks needs to run as one up to each stage."""

    def __init__(self, blocks: Sequence[Grouping], sizes: Sequence[int], stages: Sequence[int], nearest: float) -> None:
        self._blocks, self._sizes, self._stages, self._nearest = blocks, sizes, stages, nearest
        tasks, count = len(blocks[0].label), max(stages) + 1
        work = WORK * np.bincount(stages, sizes, count)
        work[0] = 0  # embeddings are looked up
        self._work = work[:, None, None]
        # Of each stage [stage, task, task]: the distance times bytes, and the bytes, of what parts two tasks there.
        self._apart, self._stored = np.zeros((2, count, tasks, tasks))
        # Of the path up to each stage: the distance per byte gained.
        self._score = np.full((count, tasks, tasks), np.inf)
        self._compare(np.arange(tasks), set(stages))

    def shortest(self, among: Tasks) -> tuple[float, int, int, int]:
        """The path with the smallest distance: that, its last stage and the two tasks."""
        score = self._score if len(among) == self._score.shape[1] else self._score[:, among[:, None], among]
        stage, one, other = np.unravel_index(score.argmin(), score.shape)
        return float(score[stage, one, other]), int(stage), int(among[one]), int(among[other])

    def update(self, merges: Sequence[Merge]) -> None:
        """Take note of what has been merged."""
        tasks = np.unique([task for merge in merges for task in merge.left + merge.right])
        self._compare(tasks, {self._stages[merge.block] for merge in merges})

    def _compare(self, tasks: Tasks, stages: set[int]) -> None:
        """Compare `tasks` with all others anew, where the blocks of `stages` have changed."""
        for stage in stages:
            apart, stored = np.zeros((2, len(tasks), self._score.shape[1]))
            for block, grouping in enumerate(self._blocks):
                if self._stages[block] == stage:
                    label, size = grouping.label, self._sizes[block]
                    parted = label[tasks, None] != label
                    distance = self._nearest - grouping.likeness[label[tasks, None], label]
                    apart += np.where(parted, distance * size, 0.0)
                    stored += parted * float(size)
            for whole, rows in ((self._apart[stage], apart), (self._stored[stage], stored)):
                whole[tasks], whole[:, tasks] = rows, rows.T
        stored = np.cumsum(self._stored[:, tasks], axis=0)
        gain = stored + np.cumsum((stored > 0) * self._work, axis=0)
        distance = np.cumsum(self._apart[:, tasks], axis=0)
        rows = np.divide(distance, gain, out=np.full_like(gain, np.inf), where=stored > 0)
        self._score[:, tasks] = rows
        self._score[:, :, tasks] = rows.transpose(0, 2, 1)
