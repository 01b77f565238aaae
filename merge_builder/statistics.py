"""How large a task's changes are over its whole task vector, streamed: a few megabytes a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints import StoredTensor
from merge_builder.similarity import chunk_size

# A bin is the upper 20 bits of a positive fp32 number (8 of exponent, 12 of mantissa): values within 2^-12 share one.
_SHIFT = 11
BINS = 1 << (31 - _SHIFT)


@dataclass(frozen=True)
class Magnitudes:
    """The histogram of |τ| of one task, over every tensor that is merged."""

    counts: NDArray[np.int64]

    @cached_property
    def _up_to(self) -> NDArray[np.int64]:
        """How many weights lie in each bin or below it; kept, as the merge of every group asks for it."""
        return np.cumsum(self.counts)

    def threshold(self, density: float) -> float:
        """The lower edge of the bin that holds the `density` share's smallest member.

        Keeping |τ| >= threshold keeps at least `density` of the weights, and more than that by one bin at most.
        Exact zeros are never kept.
        """
        total = int(self._up_to[-1])
        keep = max(1, int(density * total))
        return _edge(max(int(np.searchsorted(self._up_to, total - keep, side="right")), 1))

    def quantile(self, share: float) -> float:
        """The lower edge of the bin below which at least `share` of the weights lie."""
        return _edge(min(int(np.searchsorted(self._up_to, ceil(share * int(self._up_to[-1])))), BINS - 1))


def _edge(index: int) -> float:
    return float(np.array(index << _SHIFT, np.uint32).view(np.float32))


def count_magnitudes(task_vector: NDArray[np.float32]) -> NDArray[np.int64]:
    """The histogram of one stretch of a task vector."""
    return np.bincount(_bins(task_vector), minlength=BINS)


def _bins(task_vector: NDArray[np.float32]) -> NDArray[np.intp]:
    # Shifting left by one drops the sign; bincount is twice as fast on its own index type.
    bins = (task_vector.view(np.uint32) << np.uint32(1)) >> np.uint32(_SHIFT + 1)
    return bins.astype(np.intp)


def magnitudes(base: Sequence[StoredTensor], expert: Sequence[StoredTensor]) -> Magnitudes:
    """The histogram over `expert - base`, tensor by tensor in the same order."""
    counts = np.zeros(BINS, np.int64)
    width = 8 * chunk_size(8)  # long enough that adding up the histograms costs little
    for origin, own in zip(base, expert, strict=True):
        for start in range(0, origin.size, width):
            stop = min(start + width, origin.size)
            before = origin.read(start, stop).astype(np.float32, copy=False)
            changes = own.read(start, stop).astype(np.float32, copy=False) - before
            if changes.size < BINS // 16:  # a bias: one by one is faster than adding up a million bins
                np.add.at(counts, _bins(changes), 1)
            else:
                counts += count_magnitudes(changes)
    return Magnitudes(counts)
