import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merge_builder.report.axis import Axis, round_ticks, spaced


def test_an_axis_maps_both_ends_and_between() -> None:
    axis = Axis(1, 5, 100, 20)
    assert [axis.at(value) for value in (1, 2, 5)] == [100, 80, 20]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.76, 1.02, [0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05]),
        (0.923, 1.015, [0.92, 0.94, 0.96, 0.98, 1.0, 1.02]),
        (1.0, 1.0, [1.0]),
    ],
)
def test_ticks_are_round_and_hold_the_ends(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high, 6) == pytest.approx(ticks)


@given(st.lists(st.floats(0, 300), max_size=15))
def test_labels_keep_apart_in_order_and_in_bounds(places: list[float]) -> None:
    moved = spaced(sorted(places), 20, 0, 300)
    assert all(later - earlier >= 20 - 0.11 for earlier, later in itertools.pairwise(moved))
    assert all(0 <= place <= 300 for place in moved)


def test_labels_move_no_more_than_they_must() -> None:
    assert spaced([10, 100, 104, 200], 20, 0, 300) == [10, 92, 112, 200]
