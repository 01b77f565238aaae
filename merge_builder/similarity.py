"""How alike the experts are in one block: the Gram matrix of their task vectors, and cosines from it.

Source: FlexMerge, arXiv 2505.23209, section 2 (cosine over the concatenation of a block's tensors).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints import StoredTensor

BUFFER_BYTES = 4 << 20
# Sums in another order differ in the last bits; rounding makes equal similarities equal on every machine.
_DIGITS = 9


def chunk_size(rows: int) -> int:
    """Elements of a tensor worked on at a time, so that `rows` of them in fp64 stay in the cache."""
    return max(4096, BUFFER_BYTES // (8 * rows))


def gram(
    base: Sequence[StoredTensor],
    experts: Sequence[Sequence[StoredTensor]],
    on_read: Callable[[int], None],
    skip_nonfinite: bool = False,
) -> NDArray[np.float64]:
    """The M x M inner products of M experts' task vectors over one block, accumulated in fp64.

    Args:
        base: the block's tensors in the base.
        experts: for each expert the same tensors in the same order.
        on_read: told the bytes read, for progress.
        skip_nonfinite: leave NaN and infinite changes out of the products; else they make the result non-finite.
    """
    total = np.zeros((len(experts), len(experts)))
    width = chunk_size(len(experts) + 1)
    buffer = np.empty(len(experts) * width)  # one for all chunks: fresh pages cost as much as what is done with them
    for index, tensor in enumerate(base):
        for start in range(0, tensor.size, width):
            stop = min(start + width, tensor.size)
            rows = buffer[: len(experts) * (stop - start)].reshape(len(experts), -1)
            origin = tensor.read(start, stop).astype(np.float64)
            for row, expert in zip(rows, experts, strict=True):
                np.subtract(expert[index].read(start, stop), origin, out=row, dtype=np.float64)
            if skip_nonfinite:
                np.nan_to_num(rows, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            total += rows @ rows.T
            on_read(sum(t[index].nbytes for t in (base, *experts)) * (stop - start) // tensor.size)
    return total


def cosine(gram_matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines from a Gram matrix: two zero task vectors are alike (1), one zero and one not are unrelated (0)."""
    norms = np.sqrt(np.diagonal(gram_matrix))
    scale = np.outer(norms, norms)
    cosines: NDArray[np.float64] = np.divide(gram_matrix, scale, out=np.zeros_like(gram_matrix), where=scale > 0)
    zero = norms == 0
    cosines[np.ix_(zero, zero)] = 1.0
    np.clip(cosines, -1.0, 1.0, out=cosines)
    return np.round(cosines, _DIGITS, out=cosines)
