"""95 % percentile bootstrap intervals (Efron and Tibshirani 1993, ch. 13), from fixed seeds.

Resampling rows with replacement draws how many fall into each kind of row (right or wrong, a cell of the confusion
matrix) from a multinomial distribution, so the counts are drawn and no row is touched. Where rows differ one by one, as
cosines do, each is a kind of its own.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from merge_builder.evaluation.bitmap import Right
from merge_builder.evaluation.metrics import Ids, macro_f1_of_counts
from merge_builder.evaluation.ranks import Pairs, Samples, spearman_of_draws

RESAMPLES = 2000
Interval = tuple[float, float]


def interval(samples: Samples) -> Interval:
    """The middle 95 % of resampled values."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return float(low), float(high)


def accuracy_interval(right: Right) -> Interval:
    """The interval of the accuracy."""
    rows = len(right)
    return interval(np.random.default_rng(0).binomial(rows, right.mean(), RESAMPLES) / rows)


def macro_f1_interval(predicted: Ids, true: Ids) -> Interval:
    """The interval of the macro-F1."""
    cells, counts = np.unique(np.stack([true, predicted], axis=1), axis=0, return_counts=True)
    resampled = np.random.default_rng(0).multinomial(len(true), counts / len(true), RESAMPLES)
    return interval(macro_f1_of_counts(cells, resampled))


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """The interval of the mean of one value a row."""
    distinct, counts = np.unique(values, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(values), counts / len(values), RESAMPLES)
    return interval(drawn @ distinct / len(values))


def spearman_interval(pairs: Pairs) -> Interval:
    """The interval of the rank correlation."""
    return interval(spearman_of_draws(pairs, _draws(len(pairs), 0)))


def paired_ratios(right: Right, expert: Right, task: str) -> Samples:
    """Resampled quotients of two accuracies on the same rows, the rung's over the expert's; shape (RESAMPLES,).

    Rows are drawn in pairs, so what both get right or wrong alike widens nothing: an expert over itself is 1 every
    time. `task` seeds the draw, so that tasks vary on their own and rungs of one task together. Where a resample holds
    no row that the expert gets right, one is assumed.
    """
    both, rung_only, expert_only = (right & expert).sum(), (right & ~expert).sum(), (~right & expert).sum()
    kinds = np.array([both, rung_only, expert_only, len(right) - both - rung_only - expert_only])
    drawn = np.random.default_rng(zlib.crc32(task.encode())).multinomial(len(right), kinds / len(right), RESAMPLES)
    return np.asarray((drawn[:, 0] + drawn[:, 1]) / np.maximum(drawn[:, 0] + drawn[:, 2], 1), np.float64)


def paired_spearman_ratios(pairs: Pairs, expert: Pairs, task: str) -> Samples:
    """As `paired_ratios`, of two rank correlations. Where a resample's expert has less than 0.01, that is assumed."""
    draws = _draws(len(pairs), zlib.crc32(task.encode()))
    return spearman_of_draws(pairs, draws) / np.maximum(spearman_of_draws(expert, draws), 0.01)


def _draws(rows: int, seed: int) -> NDArray[np.int64]:
    """How often each row is drawn, (RESAMPLES, rows)."""
    return np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), RESAMPLES)
