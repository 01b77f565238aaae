from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from serving.engine.layout import lay_out

TASKS = tuple("abcdefg")


def _stage(*blocks: str) -> list[tuple[str, ...]]:
    return [(block,) for block in blocks]


def _slices(layout, block: str) -> int:
    """How many slices the versions of a block lie in when every task has one row."""
    return len(list(groupby(versions[0] for versions in layout.versions[block,])))


def test_branch_parts_tasks_by_all_blocks_so_far_and_rank_by_this_stage_alone() -> None:
    versions = {"emb": {"a": "1", "b": "1", "c": "2"}, "layer": {"a": "x", "b": "y", "c": "x"}}
    first, second = lay_out([_stage("emb"), _stage("layer")], versions, {"emb": 1, "layer": 1})

    assert first.branch["a"] == first.branch["b"] != first.branch["c"]
    assert len(set(second.branch.values())) == 3
    assert second.rank["a"] == second.rank["c"] != second.rank["b"]
    assert second.versions["layer",][second.rank["b"]] == ("y",)


@given(st.data())
def test_nested_groups_lie_in_one_slice_each(data: st.DataObject) -> None:
    """A block's groups refined again and again: one order makes them all contiguous, and it is found."""
    versions = {"block0": dict.fromkeys(TASKS, "0")}
    for number in range(1, data.draw(st.integers(1, 4)) + 1):
        cut = data.draw(st.sets(st.sampled_from(TASKS)))
        before = versions[f"block{number - 1}"]
        versions[f"block{number}"] = {task: before[task] + ("+" if task in cut else "-") for task in TASKS}
    (layout,) = lay_out([_stage(*versions)], versions, dict.fromkeys(versions, 1))

    for block, of_task in versions.items():
        assert _slices(layout, block) == len(set(of_task.values()))


def test_crossing_groups_favour_the_larger_block() -> None:
    versions = {"big": dict(zip("abcd", "1122", strict=True)), "small": dict(zip("abcd", "1212", strict=True))}
    (layout,) = lay_out([_stage("big", "small")], versions, {"big": 10, "small": 1})

    assert _slices(layout, "big") == 2
    assert _slices(layout, "small") == 3


def test_a_unit_of_two_blocks_has_a_version_of_each() -> None:
    versions = {"weight": {"a": "1", "b": "2"}, "bias": {"a": "3", "b": "3"}}
    (layout,) = lay_out([[("weight", "bias")]], versions, {"weight": 8, "bias": 1})

    assert layout.versions["weight", "bias"][layout.rank["b"]] == ("2", "3")


def test_a_stage_without_units_parts_nobody() -> None:
    (layout, tail) = lay_out([_stage("emb"), []], {"emb": {"a": "1", "b": "1"}}, {"emb": 1})

    assert set(tail.branch.values()) == set(layout.branch.values()) == {0}
