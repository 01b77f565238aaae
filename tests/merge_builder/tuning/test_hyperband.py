from collections.abc import Sequence
from itertools import pairwise

import pytest

from merge_builder.tuning.hyperband import Stage, brackets, run_bracket


def test_the_published_table() -> None:
    """SMAC's for budgets 100 to 1000 and eta 3: 22 trials."""
    table = brackets(100, 1000)
    assert [[(stage.count, stage.rows) for stage in stages] for stages in table] == [
        [(9, 111), (3, 333), (1, 1000)],
        [(5, 333), (1, 1000)],
        [(3, 1000)],
    ]
    assert sum(stage.count for stages in table for stage in stages) == 22


@pytest.mark.parametrize(("least", "most"), [(1, 1), (10, 29), (10, 30), (7, 700), (1, 81)])
def test_no_stage_keeps_more_than_a_third(least: int, most: int) -> None:
    for stages in brackets(least, most):
        assert stages[-1].rows == most
        for before, after in pairwise(stages):
            assert after.count <= before.count // 3
            assert before.rows == pytest.approx(after.rows / 3, abs=0.51)


def test_the_best_go_on_and_everyones_last_score_is_told() -> None:
    asked: list[int] = []
    scored: list[tuple[int, int]] = []
    told: dict[int, float] = {}
    prepared: list[tuple[list[int], int, int]] = []

    def ask() -> int:
        asked.append(len(asked))
        return asked[-1]

    def score(point: int, rows: int) -> float:
        scored.append((point, rows))
        return float(point % 5) + rows / 1000

    stages: Sequence[Stage] = (Stage(9, 1), Stage(3, 3), Stage(1, 9))
    run_bracket(stages, ask, score, told.__setitem__, lambda points, n: prepared.append((list(points), n, len(scored))))
    for (points, rows, before), stage in zip(prepared, stages, strict=True):
        assert scored[before : before + stage.count] == [(point, rows) for point in points]
    assert [point for point, rows in scored if rows == 1] == list(range(9))
    assert [point for point, rows in scored if rows == 3] == [4, 3, 8]  # of the equal ones the earlier first
    assert [point for point, rows in scored if rows == 9] == [4]
    assert told == {point: point % 5 + (9 if point == 4 else 3 if point in (3, 8) else 1) / 1000 for point in range(9)}
