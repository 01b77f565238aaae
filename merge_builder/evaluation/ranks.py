"""Spearman's rank correlation (Spearman 1904) of two columns, and of resamples of their rows.

A resample is how often each row was drawn. Ranks are those within the resample, equal values sharing their mean rank,
so every figure is the one that the drawn rows themselves would give.
"""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from merge_builder.errors import MergeLadderError

Pairs = NDArray[np.float32]  # (rows, 2): a prediction, and what is right
Samples = NDArray[np.float64]

_AT_ONCE = 2**20  # numbers: what is in memory of all resamples


def pack_pairs(pairs: Pairs) -> str:
    """Predictions and scores, float32 (rows, 2), as base64 of their little-endian bytes."""
    return base64.b64encode(pairs.astype("<f4").tobytes()).decode("ascii")


def unpack_pairs(text: str, rows: int) -> Pairs:
    """What `pack_pairs` was given.

    Raises:
        MergeLadderError: `text` does not hold exactly `rows` rows.
    """
    try:
        pairs: Pairs = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32).reshape(rows, 2)
    except (binascii.Error, ValueError) as error:
        raise MergeLadderError("a score's row-by-row results are broken: evaluate the ladder again") from error
    return pairs


def spearman(pairs: Pairs) -> float:
    """The rank correlation of the two columns, -1 to 1; 0 where either holds one value alone."""
    return float(spearman_of_draws(pairs, np.ones((1, len(pairs)), np.int64))[0])


def spearman_of_draws(pairs: Pairs, draws: NDArray[np.int64]) -> Samples:
    """The rank correlation of each resample; `draws` is (resamples, rows), and the result (resamples,)."""
    step = max(1, _AT_ONCE // len(pairs))
    parts = [_spearman(pairs, draws[start : start + step]) for start in range(0, len(draws), step)]
    return np.concatenate(parts)


def _spearman(pairs: Pairs, draws: NDArray[np.int64]) -> Samples:
    left, right = (_centred_ranks(column, draws) for column in pairs.T)
    both = (draws * left * right).sum(axis=1)
    spread = np.sqrt((draws * left**2).sum(axis=1) * (draws * right**2).sum(axis=1))
    found: Samples = np.divide(both, spread, out=np.zeros(len(draws)), where=spread > 0)
    return found


def _centred_ranks(values: NDArray[np.float32], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """(resamples, rows): each row's rank within the rows drawn, less the mean rank."""
    (
        _,
        place,
    ) = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    begins = np.flatnonzero(np.diff(place[order], prepend=-1))
    counts = np.add.reduceat(draws[:, order], begins, axis=1)  # of each distinct value
    ranks = np.cumsum(counts, axis=1) - (counts - 1) / 2
    centred: NDArray[np.float64] = ranks[:, place] - (draws.sum(axis=1, keepdims=True) + 1) / 2
    return centred
