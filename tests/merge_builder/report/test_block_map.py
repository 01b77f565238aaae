import itertools
import re

import pytest

from merge_builder.ladder import Manifest, rung_at
from merge_builder.report.block_map import BlockMap, Rectangle, draw_block_map


@pytest.fixture
def manifest(make_ladder) -> Manifest:
    return make_ladder().manifest


def tasks_of(box: Rectangle) -> frozenset[str]:
    return frozenset(re.split(", | ", re.sub(" alone| share one version", "", box.told.split("\n")[1]))) - {""}


def column(drawn: BlockMap, rung: int, rungs: int) -> float:
    left = min(box.x for row in drawn.rows for box in row.rectangles)
    right = max(box.x + box.width for row in drawn.rows for box in row.rectangles)
    return left + (rungs - rung - 0.5) * (right - left) / rungs


def test_every_column_is_the_rung_and_every_height_the_tasks(manifest: Manifest) -> None:
    drawn = draw_block_map(manifest)
    for size in manifest.rungs:
        x = column(drawn, size.index, len(manifest.rungs))
        versions = rung_at(manifest, size.index).versions
        for row in drawn.rows:
            boxes = [box for box in row.rectangles if box.x <= x < box.x + box.width]
            groups = {tasks_of(box) for box in boxes}
            assert groups == {frozenset(version.tasks) for version in versions[row.block].values()}
            unit = sum(box.height for box in boxes) / len(manifest.tasks)
            assert all(box.height == pytest.approx(len(tasks_of(box)) * unit, abs=0.11) for box in boxes)
            ends = sorted((box.y, box.y + box.height) for box in boxes)
            assert all(later[0] == pytest.approx(earlier[1], abs=0.11) for earlier, later in itertools.pairwise(ends))


def test_every_stored_version_is_drawn_once(manifest: Manifest) -> None:
    drawn = draw_block_map(manifest)
    assert [row.block for row in drawn.rows] == [block.name for block in manifest.blocks]
    shown = sorted((row.block, sorted(tasks_of(box))) for row in drawn.rows for box in row.rectangles)
    assert shown == sorted((version.block, sorted(version.tasks)) for version in manifest.versions)


def test_equal_groups_have_one_colour_and_others_another(manifest: Manifest) -> None:
    drawn = draw_block_map(manifest)
    colours = {(tasks_of(box), box.colour) for row in drawn.rows for box in row.rectangles}
    shared = {group: colour for group, colour in colours if len(group) > 1}
    assert len(shared) == len(set(shared.values())) == sum(len(group) > 1 for group, _ in colours)
    assert {colour for group, colour in colours if len(group) == 1} == {"group-own"}
    assert {colour for _, colour in colours} == {colour for colour, _ in drawn.legend}


def test_rows_tell_when_tasks_begin_to_share(manifest: Manifest) -> None:
    for row in draw_block_map(manifest).rows:
        steps = [step for step in manifest.trace if step.block == row.block]
        assert [life.born for life in row.shared] == [step.step for step in steps]
        assert [set(life.group) for life in row.shared] == [{*step.left, *step.right} for step in steps]


def test_size_labels_do_not_overlap_and_keep_both_ends(manifest: Manifest) -> None:
    ticks = draw_block_map(manifest).ticks
    assert (ticks[0].label, ticks[-1].label) == ("1x", "3x")
    places = [tick.at for tick in ticks]
    assert all(later - earlier >= 30 for earlier, later in itertools.pairwise(places))
