"""The plan against brute force: follow every (text, task) pair through random partitions and random batches."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serving.engine.layout import lay_out
from serving.engine.plan import Row, StagePlan, plan_batch, plan_pool

TASKS = tuple("abcde")


@st.composite
def _case(draw: st.DrawFn) -> dict[str, Any]:
    stages, versions = [], {}
    for stage in range(draw(st.integers(2, 5))):
        blocks = [f"s{stage}b{number}" for number in range(draw(st.integers(0 if stage else 1, 3)))]
        units = [(block,) for block in blocks]
        if len(blocks) > 1 and draw(st.booleans()):
            units.append(tuple(blocks))
        stages.append(units)
        for block in blocks:
            versions[block] = {task: f"{block}v{draw(st.integers(0, 3))}" for task in TASKS}
    asked = st.lists(st.sampled_from(TASKS), min_size=1, unique=True)
    batch = draw(st.lists(st.tuples(st.integers(1, 4), asked), min_size=1, max_size=6))
    sizes = {block: draw(st.integers(1, 100)) for block in versions}
    return {"stages": stages, "versions": versions, "batch": batch, "sizes": sizes}


def _plan(case: dict[str, Any]) -> tuple[StagePlan, ...]:
    layouts = lay_out(case["stages"], case["versions"], case["sizes"])
    return plan_batch(layouts, [length for length, _ in case["batch"]], [tasks for _, tasks in case["batch"]])


def _owners(stage: StagePlan) -> list[Row]:
    """The row of every token."""
    return [row for row in stage.rows for _ in range(row.length)]


@given(_case())
def test_every_pair_gets_exactly_its_own_versions_at_every_block(case: dict[str, Any]) -> None:
    for units, stage in zip(case["stages"], _plan(case), strict=True):
        owners = _owners(stage)
        assert set(stage.runs) == set(units)
        for unit, runs in stage.runs.items():
            covered = []
            for run in runs:
                for start, end in run.slices:
                    assert start < end
                    covered += range(start, end)
                    for token in range(start, end):
                        for task in owners[token].tasks:
                            assert run.versions == tuple(case["versions"][block][task] for block in unit)
            assert sorted(covered) == list(range(len(owners)))


@given(_case())
def test_a_version_runs_once_and_neighbouring_slices_are_one(case: dict[str, Any]) -> None:
    for stage in _plan(case):
        for runs in stage.runs.values():
            assert len({run.versions for run in runs}) == len(runs)
            for run in runs:
                assert all(a[1] < b[0] for a, b in pairwise(run.slices))


@given(_case())
def test_rows_are_the_distinct_histories_of_each_text(case: dict[str, Any]) -> None:
    blocks: list[str] = []
    for units, stage in zip(case["stages"], _plan(case), strict=True):
        blocks += {block for unit in units for block in unit}
        expected = sorted(
            sorted(task for task in tasks if history == tuple(case["versions"][b][task] for b in blocks))
            for _, tasks in case["batch"]
            for history in {tuple(case["versions"][b][task] for b in blocks) for task in tasks}
        )
        assert sorted(sorted(row.tasks) for row in stage.rows) == expected
        for text, (_, tasks) in enumerate(case["batch"]):
            assert sorted(t for row in stage.rows if row.text == text for t in row.tasks) == sorted(tasks)


@given(_case())
def test_a_row_goes_on_from_the_row_that_held_its_tasks(case: dict[str, Any]) -> None:
    plan = _plan(case)
    assert plan[0].source is None
    for before, stage in pairwise(plan):
        sources = range(len(stage.rows)) if stage.source is None else stage.source
        for row, source in zip(stage.rows, sources, strict=True):
            assert before.rows[source].text == row.text
            assert set(before.rows[source].tasks) >= set(row.tasks)
        if stage.source is None:
            assert len(before.rows) == len(stage.rows)


@given(_case())
def test_rows_are_whole_texts_until_the_tail_and_attention_covers_them_in_order(case: dict[str, Any]) -> None:
    plan = _plan(case)
    for stage in plan:
        lengths = [row.length for row in stage.rows]
        assert lengths == [1 if stage is plan[-1] else case["batch"][row.text][0] for row in stage.rows]
        assert [length for count, length in stage.attention for _ in range(count)] == lengths
        assert all(a[1] != b[1] for a, b in pairwise(stage.attention))
        assert stage.tokens == sum(lengths)


def test_one_text_for_many_tasks_is_one_row_while_they_share_and_forks_where_they_part() -> None:
    versions = {
        "emb": dict.fromkeys("abc", "all"),
        "one": {"a": "ab", "b": "ab", "c": "c"},
        "two": dict.fromkeys("abc", "all"),
        "tail": {"a": "a", "b": "b", "c": "c"},
    }
    layouts = lay_out([[(block,)] for block in versions], versions, dict.fromkeys(versions, 1))
    plan = plan_batch(layouts, [7], ["abc"])

    assert [stage.tokens for stage in plan] == [7, 14, 14, 3]
    assert [{row.tasks for row in stage.rows} for stage in plan[1:3]] == [{("a", "b"), ("c",)}] * 2
    assert [len(stage.runs[block,]) for block, stage in zip(versions, plan, strict=True)] == [1, 2, 1, 3]
    assert plan[2].runs["two",][0].slices == ((0, 14),)


def test_rows_that_use_the_same_versions_are_sorted_by_length() -> None:
    versions = {"emb": dict.fromkeys("ab", "v"), "tail": dict.fromkeys("ab", "v")}
    layouts = lay_out([[("emb",)], [("tail",)]], versions, {"emb": 1, "tail": 1})
    plan = plan_batch(layouts, [5, 2, 5, 2], ["a", "b", "b", "a"])

    assert plan[0].attention == ((2, 2), (2, 5))


def test_all_tokens_leave_for_the_tasks_whose_heads_read_them_and_only_for_those() -> None:
    versions = {"emb": dict.fromkeys("abc", "v"), "tail": {"a": "x", "b": "x", "c": "y"}}
    layouts = lay_out([[("emb",)], [("tail",)]], versions, {"emb": 1, "tail": 1})
    tail = plan_batch(layouts, [5, 2], ["abc", "ac"], whole={"b"})[-1]

    assert {(row.text, row.tasks, row.length) for row in tail.rows} == {
        (0, ("a", "b"), 5),
        (0, ("c",), 1),
        (1, ("a",), 1),
        (1, ("c",), 1),
    }


def test_what_is_pooled_has_a_row_for_each_version_and_reading_of_a_text() -> None:
    tasks = "abcd"
    versions = {"tail": dict.fromkeys(tasks, "v"), "pool": {"a": "x", "b": "x", "c": "y", "d": "y"}}
    *layouts, pooler = lay_out([[("tail",)], [("pool",)]], versions, {"tail": 1, "pool": 1})
    (tail,) = plan_batch(layouts, [3, 4], [tasks, "d"], whole=tasks)
    pool = plan_pool(pooler, tail, {"a": "first", "b": "mean", "c": "first"})  # d is not pooled

    assert {(row.text, row.tasks, row.length) for row in pool.rows} == {(0, (task,), 1) for task in "abc"}
    assert pool.source == (0, 0, 0)
    assert {run.versions: sum(end - start for start, end in run.slices) for run in pool.runs["pool",]} == {
        ("x",): 2,
        ("y",): 1,
    }


def test_where_tokens_merge_rows_go_on_with_fewer_from_the_rows_as_they_were() -> None:
    versions = {"emb": dict.fromkeys("ab", "v"), "merge": {"a": "y", "b": "x"}, "tail": dict.fromkeys("ab", "v")}
    layouts = lay_out([[(block,)] for block in versions], versions, dict.fromkeys(versions, 1), merges={1: 4})
    plan = plan_batch(layouts, [16, 8], ["ab", "a"], whole={"a", "b"})

    assert [[row.length for row in stage.rows] for stage in plan] == [[8, 16], [2, 4, 4], [2, 4, 4]]
    assert plan[1].source == (0, 1, 1)
    assert {run.versions: run.slices for run in plan[1].runs["merge",]} == {("y",): ((0, 6),), ("x",): ((6, 10),)}
