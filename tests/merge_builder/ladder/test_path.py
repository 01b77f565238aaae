"""The oracle: the files that a server would hold at every step, and their sizes on disk."""

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from merge_builder.ladder import Ladder, rung_at
from merge_builder.ladder.path import missing_bytes, rung_path


def files(ladder: Ladder, index: int) -> set[Path]:
    return {ladder.version_path(version) for version in rung_at(ladder.manifest, index).stored()}


def payload(paths: set[Path]) -> int:
    return sum(weights.nbytes for path in paths for weights in load_file(path).values())


def largest_neighbours(ladder: Ladder, low: int, high: int, heads: int) -> int:
    """What the way over single steps needs at most."""
    return heads + max(payload(files(ladder, t) | files(ladder, t + 1)) for t in range(low, high))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
def test_no_step_holds_more_than_the_limit(make_ladder, share):
    ladder = make_ladder()
    last = len(ladder.manifest.rungs) - 1
    heads = sum(w.nbytes for task in ladder.manifest.tasks for w in load_file(ladder.head_path(task.name)).values())
    least = largest_neighbours(ladder, 0, last, heads)
    most = heads + payload(files(ladder, 0) | files(ladder, last))
    limit = int(least + share * (most - least))
    for start, goal in ((0, last), (last, 0), (3, last - 2)):
        path = rung_path(ladder.manifest, start, goal, limit)
        steps = list(zip((start, *path), path, strict=False))
        assert path[-1] == goal
        assert all((b - a) * (goal - start) > 0 for a, b in steps)
        assert all(payload(files(ladder, a) | files(ladder, b)) + heads <= limit for a, b in steps)
        if share == 1.0:
            assert path == (goal,)
    if share == 0.0:
        assert len(rung_path(ladder.manifest, 0, last, limit)) > 2


def test_a_limit_below_what_is_held_goes_in_single_steps_until_it_fits(make_ladder):
    manifest = make_ladder().manifest
    last = len(manifest.rungs) - 1
    assert rung_path(manifest, 0, last, 0) == tuple(range(1, last + 1))


def test_nothing_to_do(make_ladder):
    assert rung_path(make_ladder().manifest, 4, 4, 0) == ()


def test_missing_is_what_the_other_rung_does_not_have(make_ladder):
    ladder = make_ladder()
    for have, want in ((0, 5), (5, 0), (2, 2)):
        expected = payload(files(ladder, want) - files(ladder, have))
        assert missing_bytes(rung_at(ladder.manifest, have), rung_at(ladder.manifest, want)) == expected
