from collections.abc import Sequence

import numpy as np
import pytest

from merge_builder.errors import MergeLadderError
from merge_builder.evaluation import Row, evaluate, summarise, write_scores
from merge_builder.evaluation.bitmap import unpack
from merge_builder.evaluation.data import TaskData
from merge_builder.ladder import RungSize, open_ladder, rung_at, select
from merge_builder.ladder.store import MANIFEST
from merge_builder.verify import verify

ROWS = tuple(Row(text=str(i), label=f"label-{i % 2}") for i in range(10))


class CountingRunner:
    """Right on every row of an even number below `right`, wrong elsewhere; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str]] = []

    def __call__(self, rung: RungSize, task: str, rows: Sequence[Row]) -> np.ndarray:
        self.calls.append((rung.index, task))
        right = np.array([int(row.label[-1]) for row in rows])
        right[:3] = 1 - right[:3]
        return np.eye(2, dtype=np.float32)[right]


def data(*tasks: str, digest: str = "0" * 64) -> dict[str, TaskData]:
    return {task: TaskData(ROWS, tuple(i % 2 for i in range(10)), digest) for task in tasks}


def test_scores_are_kept_and_only_what_changed_runs_again(make_ladder) -> None:
    ladder = make_ladder()
    rungs = [select(ladder.manifest, "1"), select(ladder.manifest, "#0")]
    runner = CountingRunner()
    scores = evaluate(ladder, rungs, data("a", "b"), runner)
    assert [(s.rung, s.task, s.accuracy) for s in scores] == [
        (rung.index, task, pytest.approx(0.7)) for rung in rungs for task in "ab"
    ]
    again = open_ladder(ladder.root)
    assert sorted(again.manifest.scores, key=str) == sorted(scores, key=str)
    assert evaluate(again, rungs, data("a", "b"), runner) == scores
    assert len(runner.calls) == 4
    evaluate(again, rungs, data("b", digest="1" * 64), runner)
    assert len(runner.calls) == 6


def test_scores_of_8_bit_weights_are_kept_apart(make_ladder, make_score) -> None:
    ladder = make_ladder()
    rungs, runner = [select(ladder.manifest, "1"), select(ladder.manifest, "#0")], CountingRunner()
    plain = evaluate(ladder, rungs[1:], data("a"), runner)
    before = (ladder.root / MANIFEST).read_bytes()
    assert b"int8" not in before  # what programs of before wrote, and verify knows the bytes of
    eight = evaluate(open_ladder(ladder.root), rungs, data("a"), runner, dtype="int8")
    again = open_ladder(ladder.root)

    assert len(runner.calls) == 3
    assert (list(again.manifest.scores), len(again.manifest.int8_scores)) == (plain, 2)
    assert sorted(again.manifest.int8_scores, key=str) == sorted(eight, key=str)
    assert evaluate(again, rungs, data("a"), runner, dtype="int8") == eight
    assert len(runner.calls) == 3
    assert verify(again) == []
    half = make_score(0, "a", "10")
    assert [rung.mean for rung in summarise(again.manifest, [make_score(0, "a", "11")])] == [1.0]
    assert [rung.mean for rung in summarise(again.manifest, [half], [make_score(0, "a", "11")])] == [0.5]


def test_every_row_is_told_right_or_wrong(make_ladder) -> None:
    ladder = make_ladder()
    (score,) = evaluate(ladder, [select(ladder.manifest, "#0")], data("a"), CountingRunner())
    assert unpack(score.right, score.rows).tolist() == [False] * 3 + [True] * 7


def test_an_interrupted_evaluation_keeps_what_is_done(make_ladder) -> None:
    ladder = make_ladder()
    rungs = [select(ladder.manifest, "#0"), select(ladder.manifest, "1")]
    runner = CountingRunner()

    def interrupted(rung: RungSize, task: str, rows: Sequence[Row]) -> np.ndarray:
        if len(runner.calls) == 3:
            raise KeyboardInterrupt
        return runner(rung, task, rows)

    with pytest.raises(KeyboardInterrupt):
        evaluate(ladder, rungs, data("a", "b"), interrupted)
    kept = open_ladder(ladder.root)
    assert [(score.rung, score.task) for score in kept.manifest.scores] == runner.calls
    evaluate(kept, rungs, data("a", "b"), runner)
    assert len(runner.calls) == 4


def test_scores_that_another_run_wrote_meanwhile_stay(make_ladder, make_score) -> None:
    ladder = make_ladder()
    write_scores(ladder, [make_score(1, "c", "10")])
    merged = write_scores(ladder, [make_score(0, "c", "11")])
    assert [score.rung for score in merged.manifest.scores] == [0, 1]
    assert open_ladder(ladder.root) == merged


def test_a_ladder_built_anew_meanwhile_gets_no_scores_of_the_old_one(make_ladder, make_score) -> None:
    old = make_ladder()
    old.root.rename(old.root.with_name("old"))
    make_ladder(method={"name": "task_arithmetic"})
    with pytest.raises(MergeLadderError, match="built anew"):
        write_scores(old, [make_score(0, "a", "1")])
    assert open_ladder(old.root).manifest.scores == ()


def test_rungs_that_serve_a_task_alike_run_once(make_ladder) -> None:
    ladder = make_ladder()
    versions = [rung_at(ladder.manifest, size.index).versions for size in ladder.manifest.rungs]
    distinct = {tuple(tasks["a"].id for tasks in version.values()) for version in versions}
    runner = CountingRunner()
    scores = evaluate(ladder, ladder.manifest.rungs, data("a"), runner)
    assert len(scores) == len(ladder.manifest.rungs)
    assert len(runner.calls) == len(distinct) < len(ladder.manifest.rungs)
