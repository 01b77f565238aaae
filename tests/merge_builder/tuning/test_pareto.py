import numpy as np
import pytest

from merge_builder.tuning.pareto import draw_weights, nondominated, scalarise


def dominates(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(one[task] >= other[task] for task in one) and one != other


def test_what_no_other_dominates_is_kept_and_of_equal_ones_the_first() -> None:
    rng = np.random.default_rng(0)
    scores = [{task: float(rng.integers(0, 4)) for task in "abc"} for _ in range(40)]
    expected = [
        i
        for i, own in enumerate(scores)
        if not any(dominates(other, own) for other in scores) and own not in scores[:i]
    ]
    assert nondominated(scores) == expected
    assert 1 < len(expected) < 40
    assert nondominated([{"a": 1.0}]) == [0]


def test_weights_lie_on_the_simplex_and_follow_from_the_seed() -> None:
    weights = draw_weights("abcd", (3, 1))
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights.values()) >= 0
    assert weights == draw_weights("abcd", (3, 1)) != draw_weights("abcd", (3, 2))


def test_the_number_is_paregos_on_costs_between_the_best_and_the_worst_known() -> None:
    known = [{"a": 0.5, "b": 0.9}, {"a": 1.0, "b": 0.4}]
    weights = {"a": 0.25, "b": 0.75}
    costs = [0.25 * (1.0 - 0.7) / 0.5, 0.75 * (0.9 - 0.8) / 0.5]
    assert scalarise({"a": 0.7, "b": 0.8}, weights, known) == pytest.approx(-(max(costs) + 0.05 * sum(costs)))
    assert scalarise(known[0], {"a": 0.0, "b": 1.0}, known) == pytest.approx(0)
    assert np.isfinite(scalarise(known[0], weights, []))
