"""Several objectives, a task each: what dominates what, and one number under drawn weights (ParEGO, Knowles 2006)."""

from collections.abc import Mapping, Sequence

import numpy as np

Scores = Mapping[str, float]  # by task, larger is better
_SUM = 0.05  # the weighted sum's share beside the weighted largest cost


def nondominated(scores: Sequence[Scores]) -> list[int]:
    """The places of those that no other matches on every task and beats on one; of equal ones the first."""
    table = np.array([[own[task] for task in sorted(own)] for own in scores])
    kept = []
    for place, row in enumerate(table):
        others = np.delete(np.arange(len(table)), place)
        as_good = (table[others] >= row).all(axis=1)
        better = (table[others] > row).any(axis=1)
        if not (as_good & (better | (others < place))).any():
            kept.append(place)
    return kept


def draw_weights(tasks: Sequence[str], seed: Sequence[int]) -> dict[str, float]:
    """Weights that sum to 1, uniform on the simplex."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(len(tasks)))
    return dict(zip(tasks, map(float, drawn), strict=True))


def scalarise(scores: Scores, weights: Scores, known: Sequence[Scores]) -> float:
    """-(max_i w_i c_i + 0.05 sum_i w_i c_i), with costs c_i brought to [0, 1] by the best and worst of `known`."""
    costs = []
    for task, weight in weights.items():
        values = [own[task] for own in known] or [scores[task]]
        span = max(values) - min(values)
        costs.append(weight * (max(values) - scores[task]) / (span if span > 0 else 1.0))
    return -(max(costs) + _SUM * sum(costs))
