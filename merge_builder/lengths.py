"""How far training moved a task's matrices from the base, streamed: one number a matrix."""

from collections.abc import Sequence

import numpy as np

from merge_builder.checkpoints import StoredTensor
from merge_builder.similarity import chunk_size


def matrix_lengths(base: Sequence[StoredTensor], expert: Sequence[StoredTensor]) -> list[float]:
    """||τ|| / ||θ_base|| of every matrix that training moved, accumulated in fp64.

    Matrices of zeros in the base, which any change moves endlessly far, and those with NaN or infinite weights are
    left out: they tell nothing.
    """
    found = (_length(origin, own) for origin, own in zip(base, expert, strict=True) if len(origin.shape) == 2)
    return [length for length in found if 0 < length < np.inf]


def task_length(matrices: Sequence[float]) -> float:
    """A task's length: the median over its matrices; 0 where none moved."""
    return float(np.median(matrices)) if len(matrices) else 0.0


def _length(origin: StoredTensor, own: StoredTensor) -> float:
    moved = before = 0.0
    width = chunk_size(2)
    for start in range(0, origin.size, width):
        stop = min(start + width, origin.size)
        base = origin.read(start, stop).astype(np.float64)
        change = own.read(start, stop) - base
        moved += float(change @ change)
        before += float(base @ base)
    return float(np.sqrt(moved / before)) if before else np.inf
