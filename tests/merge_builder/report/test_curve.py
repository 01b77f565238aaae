import itertools

import pytest

from merge_builder.report.curve import HEIGHT, LABEL_GAP, WIDTH, draw_curve
from merge_builder.report.subject import subjects_of


def test_a_single_ladder_has_its_mean_and_every_task(make_scored) -> None:
    ladder = make_scored("one", {22: (20, 24, 20), 9: (36, 30, 18)})
    curve = draw_curve(subjects_of([ladder]))
    mean, *tasks = curve.lines
    assert (mean.number, [line.label for line in tasks]) == (0, ["a", "b", "c"])
    assert all(len(line.points) == 3 for line in curve.lines)
    # a: .5, .9, 1; b: .8, 1, 1; c: 1, .9, 1 -> means .7667, .9333, 1; a picture's y goes down
    y = [point.y for point in mean.points]
    assert (y[0] - curve.experts_y) / (y[1] - curve.experts_y) == pytest.approx((1 - 0.76667) / (1 - 0.93333), rel=0.02)
    assert y[2] == curve.experts_y
    assert "76.7 %" in mean.points[0].told
    assert "50.0 %" in tasks[0].points[0].told
    assert all(point.high <= point.y <= point.low for point in mean.points)


def test_places_follow_the_sizes_and_stay_on_the_canvas(make_scored) -> None:
    ladder = make_scored("one", {22: (20, 24, 20), 9: (36, 30, 18), 3: (44 - 4, 30, 20)})
    curve = draw_curve(subjects_of([ladder]))
    for line in curve.lines:
        x = [point.x for point in line.points]
        assert x == sorted(x)
        assert all(0 < point.x < WIDTH and 0 < point.y < HEIGHT for point in line.points)
    assert all(0 < point.high <= point.low < HEIGHT for point in curve.lines[0].points)
    labels = sorted(line.label_y for line in curve.lines)
    assert all(later - earlier >= LABEL_GAP - 0.11 for earlier, later in itertools.pairwise(labels))
    ratios = [rung.size.ratio for rung in subjects_of([ladder])[0].rungs]
    x = [point.x for point in curve.lines[0].points]
    assert (x[1] - x[0]) / (x[3] - x[0]) == pytest.approx((ratios[1] - 1) / (ratios[3] - 1), abs=0.001)


def test_bytes_under_the_axis_are_those_of_the_rungs(make_scored) -> None:
    curve = draw_curve(subjects_of([make_scored("one", {22: (20, 24, 20)})]))
    labels = {tick.label: tick.note for tick in curve.x_ticks}
    manifest = make_scored("two", {}).manifest
    heads = sum(task.head.bytes for task in manifest.tasks)
    blocks = sum(block.bytes for block in manifest.blocks)
    assert labels == {f"{n}x": f"{(n * blocks + heads) / 1024:.1f} KiB" for n in (1, 2, 3)}


def test_several_ladders_have_a_line_each(make_scored, make_ladder) -> None:
    ladders = [make_scored("one", {22: (20, 24, 20)}), make_ladder("two"), make_scored("three", {22: (40, 24, 20)})]
    curve = draw_curve(subjects_of(ladders))
    assert [(line.label, line.number) for line in curve.lines] == [("one", 0), ("three", 2)]


def test_without_scores_there_is_no_curve(make_ladder) -> None:
    assert draw_curve(subjects_of([make_ladder()])) is None
