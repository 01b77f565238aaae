import pytest

from merge_builder.errors import InputError
from merge_builder.evaluation import rungs_to_evaluate
from merge_builder.ladder import select


def test_by_default_the_sizes_tell_the_whole_curve(make_ladder) -> None:
    manifest = make_ladder().manifest
    expected = {select(manifest, size) for size in ("1", "1.25", "1.5", "2", "3")}
    assert rungs_to_evaluate(manifest, None) == sorted(expected, key=lambda rung: rung.index)


def test_the_experts_are_always_among_them_and_each_rung_once(make_ladder) -> None:
    manifest = make_ladder().manifest
    assert [rung.index for rung in rungs_to_evaluate(manifest, ["#3", " #2", "#3"])] == [0, 2, 3]


def test_a_size_that_does_not_exist_is_refused(make_ladder) -> None:
    with pytest.raises(InputError, match="#999"):
        rungs_to_evaluate(make_ladder().manifest, ["#999"])
