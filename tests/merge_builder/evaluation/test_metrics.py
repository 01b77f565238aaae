import numpy as np
import pytest

from merge_builder.evaluation.metrics import accuracy, macro_f1, macro_f1_of_counts


def test_scores_worked_by_hand() -> None:
    true, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    assert accuracy(predicted, true) == pytest.approx(3 / 5)
    # F1: class 0: 1 hit, 2 predicted, 2 true -> .5; class 1: 2 hits, 3 and 2 -> .8; class 2: 0
    assert macro_f1(predicted, true) == pytest.approx((0.5 + 0.8 + 0.0) / 3)


def test_classes_that_do_not_occur_do_not_count() -> None:
    cells = np.array([[0, 0], [1, 1], [2, 1]])
    # second matrix: classes 0 and 1 alone, all right; third: nothing but class 2 taken for 1
    counts = np.array([[2, 2, 0], [0, 3, 0], [0, 0, 4]])
    assert macro_f1_of_counts(cells, counts) == pytest.approx([1.0, 1.0, 0.0])
