import pytest

from merge_builder.report.heat_map import draw_heat_map
from merge_builder.report.subject import subjects_of


def test_cells_tell_what_is_left_of_each_expert(make_scored) -> None:
    ladder = make_scored("one", {22: (20, 33, 20), 9: (38, 30, 10)})
    drawn = draw_heat_map(subjects_of([ladder])[0])
    assert [size.index for size in drawn.sizes] == [22, 9]
    rows = {task: (accuracy, [cell.normalised for cell in cells]) for task, accuracy, cells in drawn.rows}
    assert rows["a"] == (1.0, pytest.approx([0.5, 0.95]))
    assert rows["b"] == (0.75, pytest.approx([1.1, 1.0]))
    assert rows["c"] == (0.5, pytest.approx([1.0, 0.5]))
    assert [cell.normalised for cell in drawn.means] == pytest.approx([(0.5 + 1.1 + 1.0) / 3, (0.95 + 1.0 + 0.5) / 3])


def test_colour_grows_with_the_change_and_tells_loss_from_gain(make_scored) -> None:
    drawn = draw_heat_map(subjects_of([make_scored("one", {22: (20, 33, 20), 9: (38, 30, 18)})])[0])
    cells = {task: cells for task, _, cells in drawn.rows}
    assert cells["a"][0].strength == 1 > cells["a"][1].strength > 0
    assert cells["a"][0].loss
    assert not cells["b"][0].loss
    assert cells["b"][1].strength == 0


def test_without_scores_there_is_no_map(make_ladder, make_scored) -> None:
    assert draw_heat_map(subjects_of([make_ladder()])[0]) is None
    assert draw_heat_map(subjects_of([make_scored("experts alone", {})])[0]) is None
