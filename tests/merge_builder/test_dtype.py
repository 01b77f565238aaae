from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from merge_builder.ladder import rung_at
from merge_builder.merge import merge
from merge_builder.plan import plan
from merge_builder.recipe import load_recipe, parse_recipe
from merge_builder.verify import verify

from .conftest import write_recipe

NUMPY = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@pytest.mark.parametrize("dtype", list(NUMPY))
def test_merged_versions_take_the_dtype_and_experts_stay_as_they_came(suite: Path, make_ladder, dtype: str) -> None:
    ladder = make_ladder(dtype=dtype)
    experts = {task: load_file(suite / task / "model.safetensors") for task in "abc"}
    first, last = (rung_at(ladder.manifest, index).versions for index in (0, len(ladder.manifest.trace)))
    for block in first:
        for name, weights in load_file(ladder.version_path(first[block]["a"])).items():
            assert weights.tobytes() == experts["a"][f"bert.{name}"].tobytes()
        for name, weights in load_file(ladder.version_path(last[block]["a"])).items():
            mean = np.mean([expert[f"bert.{name}"].astype(float) for expert in experts.values()], axis=0)
            assert weights.dtype == NUMPY[dtype]
            precision = float(ml_dtypes.finfo(NUMPY[dtype]).eps)
            np.testing.assert_allclose(weights.astype(float), mean, rtol=precision, atol=precision / 10)
    assert verify(ladder) == []


def test_the_plan_counts_the_dtype(suite: Path, make_ladder) -> None:
    make_ladder(dtype="float16")
    recipe = load_recipe(suite / "recipe.yaml")
    halved = plan(recipe).bytes_written
    whole = plan(
        parse_recipe(
            recipe.model_dump()
            | {"dtype": None, "base": str(suite / "base"), "tasks": {t: {"model": str(suite / t)} for t in "abc"}}
        )
    ).bytes_written
    merged = sum(v.bytes for v in make_ladder("again", dtype="float16").manifest.versions if len(v.tasks) > 1)
    assert whole - halved == merged


def test_one_merged_checkpoint_takes_the_dtype_too(suite: Path) -> None:
    merge(load_recipe(write_recipe(suite, list("abc"), dtype="bfloat16")), suite / "merged")
    assert {w.dtype for w in load_file(suite / "merged/model.safetensors").values()} == {np.dtype(ml_dtypes.bfloat16)}
