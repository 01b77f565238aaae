"""A trace for requests that ask many tasks of one text: among merges that are nearly as good, those that let tasks
share whole stages go first, so that a text's rows fork as late as possible.

The published greedy looks at similarity alone. Norms, which are the least alike and cost next to nothing unmerged, then
stay apart in the first layers, and the engine has to run everything after them once a task although nearly all its
weights are shared. Here every merge may be up to `TOLERANCE` further apart than the closest one, and of those the one
is taken that is nearest to bringing its tasks together up to its stage.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from merge_builder.trace import Group, Linkage, Merge, Priorities, likeness_of

# How much larger than the smallest a distance (1 - cosine, or Ward's added distortion) may be.
TOLERANCE = 0.25


def make_compute_trace(
    grams: Sequence[NDArray[np.float64]],
    block_bytes: Sequence[int],
    stages: Sequence[int],
    linkage: Linkage,
    priorities: Priorities,
) -> list[Merge]:
    """All B(M-1) merges in order; `stages[block]` numbers the stage of the forward pass that a block belongs to."""
    tasks = len(priorities.weights)
    likeness = [likeness_of(gram, size, linkage, priorities) for gram, size in zip(grams, block_bytes, strict=True)]
    alone: list[Group] = [(task,) for task in range(tasks)]
    open_merges: dict[tuple[int, Group, Group], Merge] = {
        (block, *pair): Merge(block, *pair, likeness[block](*pair))
        for block in range(len(grams))
        for pair in combinations(alone, 2)
    }
    # parted[s, i, j]: the blocks up to and including stage s in which tasks i and j are not yet together.
    counts = np.bincount(stages, minlength=max(stages) + 1).cumsum()
    parted = np.repeat(counts[:, None, None], tasks, axis=1).repeat(tasks, axis=2).astype(np.int64)
    trace: list[Merge] = []
    while open_merges:
        merge = _next(list(open_merges.values()), stages, parted, linkage, priorities)
        trace.append(merge)
        merged = tuple(sorted(merge.left + merge.right))
        for left, right in product(merge.left, merge.right):
            parted[stages[merge.block] :, [left, right], [right, left]] -= 1
        others = _drop(open_merges, merge)
        for other in sorted(others):
            pair = (merged, other) if merged < other else (other, merged)
            open_merges[merge.block, *pair] = Merge(merge.block, *pair, likeness[merge.block](*pair))
    return trace


def _next(
    candidates: Sequence[Merge],
    stages: Sequence[int],
    parted: NDArray[np.int64],
    linkage: Linkage,
    priorities: Priorities,
) -> Merge:
    best = min(candidates, key=lambda merge: (priorities.spares(merge), -merge.similarity))
    nearest = 0.0 if linkage == "ward" else 1.0
    limit = (nearest - best.similarity) * (1 + TOLERANCE)
    near = [
        merge
        for merge in candidates
        if nearest - merge.similarity <= limit and priorities.spares(merge) == priorities.spares(best)
    ]

    def last_obstacle(merge: Merge) -> float:
        """1 where nothing else up to its stage parts the two groups' tasks, less the more blocks do."""
        return float((1 / parted[stages[merge.block]][np.ix_(merge.left, merge.right)]).mean())

    return min(
        near,
        key=lambda m: (-last_obstacle(m), stages[m.block], -m.similarity, m.block, m.left, m.right),
    )


def _drop(open_merges: dict[tuple[int, Group, Group], Merge], done: Merge) -> set[Group]:
    """Take out of the block's open merges all that a merge has made void; the groups it now may merge with."""
    others: set[Group] = set()
    for key in list(_of_block(open_merges, done.block)):
        _, left, right = key
        if done.left in (left, right) or done.right in (left, right):
            del open_merges[key]
            others |= {left, right}
    return others - {done.left, done.right}


def _of_block(open_merges: dict[tuple[int, Group, Group], Merge], block: int) -> Iterator[tuple[int, Group, Group]]:
    return (key for key in open_merges if key[0] == block)
