from collections.abc import Mapping

import pytest

from merge_builder.errors import InputError
from merge_builder.evaluation import Row, TaskData
from merge_builder.tuning.split import split_rows


def data(**counts: int) -> Mapping[str, TaskData]:
    return {
        task: TaskData(
            tuple(Row(text=f"{task} {i}", label=str(i)) for i in range(count)), tuple(range(count)), "0" * 64
        )
        for task, count in counts.items()
    }


def test_every_row_is_searched_or_held_out_and_keeps_its_label() -> None:
    split = split_rows(data(a=50, b=11), seed=3)
    for task, count in (("a", 50), ("b", 11)):
        search, held_out = split.search[task], split.held_out[task]
        assert len(held_out) == round(0.4 * count)
        assert {row.text for row in (*search.rows, *held_out.rows)} == {f"{task} {i}" for i in range(count)}
        assert len(search) + len(held_out) == count
        assert [row.label for row in search.rows] == [str(label) for label in search.labels]


def test_the_seed_decides() -> None:
    same = [split_rows(data(a=50), seed=1).search["a"].rows for _ in range(2)]
    assert same[0] == same[1] != split_rows(data(a=50), seed=2).search["a"].rows


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="'b' has 9 rows"):
        split_rows(data(a=50, b=9), seed=0)
