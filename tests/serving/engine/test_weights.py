"""What lies in memory after a load, by the kernel's own account of this process."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from merge_builder.ladder import open_ladder, rung_at
from serving.engine.engine import load_engine


def resident() -> Counter[str]:
    """By path, the bytes of files that are mapped into this process and in memory."""
    total: Counter[str] = Counter()
    path = ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            path = line.split(maxsplit=5)[-1]
        elif line.startswith("Rss:"):
            total[path] += int(line.split()[1]) * 1024
    return total


@pytest.fixture
def own_ladder(pico_ladder, tmp_path):
    """A copy of the ladder whose files nobody else in this process has mapped."""
    shutil.copytree(pico_ladder.root, tmp_path / "own")
    return open_ladder(tmp_path / "own")


def test_every_page_of_a_version_is_there_once_it_is_loaded(own_ladder, middle_rung):
    rung = rung_at(own_ladder.manifest, middle_rung)
    engine = load_engine(own_ladder, rung)
    there = resident()
    for version in rung.stored():
        path = own_ladder.version_path(version)
        assert there[str(path)] >= path.stat().st_size
    assert engine.bytes_private == 0
    engine.swap(rung_at(own_ladder.manifest, len(own_ladder.manifest.rungs) - 1))
    gone = {version.id for version in rung.stored()} - {version.id for version in engine.rung.stored()}
    assert gone
    left = resident()
    for version in rung.stored():
        if version.id in gone:
            assert left[str(own_ladder.version_path(version))] == 0


@pytest.fixture
def half_ladder(pico_ladder, tmp_path):
    """The same experts merged into 16-bit versions."""
    from merge_builder.build import build
    from merge_builder.recipe import load_recipe

    recipe = pico_ladder.root.parent / "recipe.yaml"
    half = recipe.with_name("half.yaml")
    half.write_text(recipe.read_text() + "dtype: float16\n")
    return build(load_recipe(half), tmp_path / "half", threads=1)


def test_weights_that_are_converted_are_private(half_ladder):
    engine = load_engine(half_ladder, rung_at(half_ladder.manifest, len(half_ladder.manifest.rungs) - 1))
    blocks = engine.bytes_loaded["blocks"]
    assert blocks == 2 * (engine.rung.size.bytes - sum(task.head.bytes for task in half_ladder.manifest.tasks))
    assert engine.bytes_private == blocks
