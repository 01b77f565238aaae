import tracemalloc
from pathlib import Path

import numpy as np

from merge_builder.build import build
from merge_builder.plan import plan
from merge_builder.recipe import load_recipe

from .conftest import encoder_shapes, fine_tune, write_base, write_expert, write_recipe


def test_the_plan_is_what_the_build_then_does(suite: Path, make_ladder) -> None:
    predicted = plan(load_recipe(suite / "recipe.yaml"))
    assert not (suite / "ladder").exists()
    ladder = make_ladder()
    stored = sum(v.bytes for v in ladder.manifest.versions) + sum(t.head.bytes for t in ladder.manifest.tasks)
    assert predicted.bytes_written == stored
    assert predicted.rungs == len(ladder.manifest.rungs)
    assert predicted.blocks == len(ladder.manifest.blocks)
    assert predicted.tasks == ["a", "b", "c"]
    assert predicted.peak_memory > 0


def test_the_memory_that_the_default_method_takes_is_foretold(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {name: tuple(24 * size for size in shape) for name, shape in encoder_shapes().items()}
    base = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    write_base(tmp_path / "base", base)
    for seed, task in enumerate("abcd"):
        write_expert(tmp_path / task, fine_tune(base, seed))
    recipe = load_recipe(write_recipe(tmp_path, list("abcd")))
    predicted = plan(recipe, threads=1).peak_memory
    tracemalloc.start()
    try:
        build(recipe, tmp_path / "ladder", threads=1)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used <= predicted <= 4 * used
