"""Scores of predicted against true label ids."""

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def accuracy(predicted: Ids, true: Ids) -> float:
    """The share of rows predicted right."""
    return float((predicted == true).mean())


def macro_f1(predicted: Ids, true: Ids) -> float:
    """The mean F1 over the classes that occur, among the true or the predicted labels."""
    pairs = np.stack([true, predicted], axis=1)
    cells, counts = np.unique(pairs, axis=0, return_counts=True)
    return float(macro_f1_of_counts(cells, counts[None])[0])


def macro_f1_of_counts(cells: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The macro-F1 of several confusion matrices over the same cells.

    `cells` is (cells, 2), each a true and a predicted label; `counts` is (matrices, cells), the rows in each cell.
    Classes that occur in a matrix count, as in `macro_f1`. Returns (matrices,).
    """
    scores = np.zeros(len(counts))
    occurring = np.zeros(len(counts))
    for label in np.unique(cells):
        true, predicted = cells[:, 0] == label, cells[:, 1] == label
        total = counts[:, true].sum(axis=1) + counts[:, predicted].sum(axis=1)
        hits = counts[:, true & predicted].sum(axis=1)
        scores += 2 * hits / np.maximum(total, 1)
        occurring += total > 0
    return scores / np.maximum(occurring, 1)
