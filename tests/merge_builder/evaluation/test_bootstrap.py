import numpy as np
import pytest

from merge_builder.evaluation.bootstrap import accuracy_interval, interval, macro_f1_interval, paired_ratios
from merge_builder.evaluation.metrics import macro_f1

ROWS = 150


def test_the_accuracy_interval_covers_at_about_its_rate() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = accuracy_interval(rng.random(ROWS) < 0.7)
        covered += low <= 0.7 <= high
    assert 0.9 <= covered / 200 <= 0.99


def test_the_macro_f1_interval_is_that_of_resampled_rows() -> None:
    rng = np.random.default_rng(2)
    true = rng.integers(0, 3, ROWS)
    predicted = np.where(rng.random(ROWS) < 0.7, true, rng.integers(0, 3, ROWS))
    picks = rng.integers(0, ROWS, (1000, ROWS))
    expected = np.quantile([macro_f1(predicted[rows], true[rows]) for rows in picks], [0.025, 0.975])
    assert macro_f1_interval(predicted, true) == pytest.approx(expected, abs=0.015)


def test_paired_ratios_are_those_of_rows_resampled_in_pairs() -> None:
    rng = np.random.default_rng(3)
    expert = rng.random(ROWS) < 0.8
    right = np.where(rng.random(ROWS) < 0.9, expert, rng.random(ROWS) < 0.3)
    picks = rng.integers(0, ROWS, (2000, ROWS))
    expected = np.quantile(right[picks].sum(axis=1) / expert[picks].sum(axis=1), [0.025, 0.975])
    paired = interval(paired_ratios(right, expert, "a"))
    assert paired == pytest.approx(expected, abs=0.015)
    alone = np.quantile(right[picks].sum(axis=1) / expert[picks[::-1]].sum(axis=1), [0.025, 0.975])
    assert paired[1] - paired[0] < 0.8 * (alone[1] - alone[0])  # pairs tell more than two samples on their own


def test_an_expert_is_exactly_itself_and_tasks_vary_on_their_own() -> None:
    expert = np.random.default_rng(4).random(ROWS) < 0.6
    assert (paired_ratios(expert, expert, "a") == 1).all()
    worse = expert & (np.arange(ROWS) % 5 > 0)
    assert (paired_ratios(worse, expert, "a") == paired_ratios(worse, expert, "a")).all()
    correlation = np.corrcoef(paired_ratios(worse, expert, "a"), paired_ratios(worse, expert, "b"))[0, 1]
    assert abs(correlation) < 0.1
