import numpy as np
import pytest

from merge_builder.errors import InputError
from merge_builder.evaluation import summarise, write_scores


def test_rungs_are_told_relative_to_the_experts_smallest_first(make_ladder, make_score) -> None:
    ladder = make_ladder()
    last = len(ladder.manifest.rungs) - 1
    scores = [
        make_score(0, "b", "1111" * 5),
        make_score(last, "b", "1110" * 5),
        make_score(0, "a", "1100" * 5),
        make_score(last, "a", "1000" * 5),
    ]
    smallest, experts = summarise(write_scores(ladder, scores).manifest)
    assert (smallest.size, experts.size) == (ladder.manifest.rungs[last], ladder.manifest.rungs[0])
    assert {task: own.normalised for task, own in smallest.tasks.items()} == pytest.approx({"a": 0.5, "b": 0.75})
    assert smallest.mean == pytest.approx(0.625)
    assert (smallest.worst_task, smallest.worst.normalised) == ("a", pytest.approx(0.5))
    assert (experts.mean, experts.mean_interval) == (1.0, (1.0, 1.0))


def test_the_interval_of_the_mean_is_that_of_rows_resampled_within_each_task(make_ladder, make_score) -> None:
    rng = np.random.default_rng(0)
    rows = 200
    expert = {task: rng.random(rows) < 0.8 for task in "ab"}
    right = {task: np.where(rng.random(rows) < 0.8, expert[task], False) for task in "ab"}
    text = {
        task: ("".join("01"[int(x)] for x in right[task]), "".join("01"[int(x)] for x in expert[task])) for task in "ab"
    }
    scores = [make_score(rung, task, text[task][rung == 0]) for rung in (0, 1) for task in "ab"]
    summary = summarise(make_ladder().manifest, scores)[0]

    def resampled(task: str) -> np.ndarray:
        picks = rng.integers(0, rows, (2000, rows))
        return right[task][picks].sum(axis=1) / expert[task][picks].sum(axis=1)

    expected = np.quantile((resampled("a") + resampled("b")) / 2, [0.025, 0.975])
    assert summary.mean_interval == pytest.approx(expected, abs=0.01)


def test_a_rung_with_a_missing_or_an_older_score_is_not_judged(make_ladder, make_score) -> None:
    manifest = make_ladder().manifest
    experts = [make_score(0, "a", "11"), make_score(0, "b", "11")]
    missing = [make_score(1, "a", "11")]
    older = [make_score(2, "a", "11"), make_score(2, "b", "11", digest="1" * 64)]
    assert [rung.size.index for rung in summarise(manifest, [*experts, *missing, *older])] == [0]
    assert summarise(manifest, missing) == []


def test_an_expert_that_is_never_right_is_named(make_ladder, make_score) -> None:
    with pytest.raises(InputError, match="task 'a' gets none of 2 rows right"):
        summarise(make_ladder().manifest, [make_score(0, "a", "00")])
