"""Work of an input that is asked for every task: one pass at 1x, one a task at Mx, of texts and images alike."""

import sys
from pathlib import Path

import torch

from merge_builder.build import build
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe

from ..images import build_ladder

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "suite"))
from passes import passes_of


def _assert_passes(ladder: Ladder) -> None:
    rungs = ladder.manifest.rungs
    passes = [passes_of(ladder, rungs)[rung.index] for rung in rungs]
    tasks, layers = len(ladder.manifest.tasks), 2
    assert (passes[0], passes[-1]) == (tasks, 1)
    assert passes == sorted(passes, reverse=True)
    assert len(set(passes)) > 2
    assert all(one * layers == round(one * layers) for one in passes)  # whole layers


def test_of_a_text(recipe_file: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    _assert_passes(build(load_recipe(recipe_file), tmp_path / "ladder", threads=1))


def test_of_an_image(tmp_path: Path) -> None:
    _assert_passes(build_ladder(tmp_path))
