"""Candidates of layer-wise fusion, against ladders that the builder makes with the same method."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe
from merge_builder.tuning.fusion import Buckets, bucket, fusion_candidate
from merge_builder.tuning.material import Material, open_material
from merge_builder.tuning.plain import PlainMethods


@pytest.fixture
def ladder(make_ladder: Callable[..., Ladder]) -> Ladder:
    return make_ladder()


@pytest.fixture
def material(suite: Path, ladder: Ladder) -> Iterator[Material]:
    with open_material(load_recipe(suite / "recipe.yaml"), ladder) as opened:
        yield opened


def everywhere(buckets: Buckets, own: dict[str, Any]) -> dict[str, Any]:
    return {"method": "lfs", "buckets": {name: dict(own) for name in buckets.used}}


def merged(material: Material, genes: dict[str, Any], groups: int, folder: Path, rung: int) -> dict[str, np.ndarray]:
    """Every tensor of every merged version of a rung, by block, group and name."""
    size = material.ladder.manifest.rungs[rung]
    candidate = fusion_candidate(genes, bucket(material, size, groups), material.tasks, PlainMethods(folder, material))
    assert candidate.formula is not None
    return {
        f"{place.version.block} {place.group} {name}": values
        for place in material.places(size)
        for name, values in material.merge(place, candidate.formula).items()
    }


@pytest.mark.parametrize(
    "own",
    [
        {"name": "task_arithmetic", "scale": 1.7},
        {"name": "ties", "density": 0.4, "scale": 1.3},
        {"name": "tsv", "scale": 0.8},
        {"name": "blend", "scale": 1.0},
        {"name": "iso", "scale": 1.9},
    ],
    ids=lambda own: own["name"],
)
@pytest.mark.parametrize("rung", [22, 12])
def test_one_method_everywhere_is_that_method_bit_for_bit(
    material: Material, make_ladder: Callable[..., Ladder], tmp_path: Path, own: dict[str, Any], rung: int
) -> None:
    built = make_ladder("built", method=own)
    stored = {(v.block, v.tasks): load_file(built.version_path(v)) for v in built.manifest.versions}
    buckets = bucket(material, material.ladder.manifest.rungs[rung], 1)
    made = merged(material, everywhere(buckets, own), 1, tmp_path / "cache", rung)
    again = merged(material, everywhere(buckets, own), 1, tmp_path / "cache", rung)  # from what is kept
    assert made
    for place in material.places(material.ladder.manifest.rungs[rung]):
        expected = stored[place.version.block, tuple(material.tasks[k] for k in place.group)]
        for name, values in expected.items():
            key = f"{place.version.block} {place.group} {name}"
            np.testing.assert_array_equal(made[key], values)
            np.testing.assert_array_equal(again[key], values)


def test_equal_genes_in_all_groups_are_one_group(material: Material, tmp_path: Path) -> None:
    size = material.ladder.manifest.rungs[22]
    own = {"name": "ties", "density": 0.2, "scale": 1.5}
    one, two = (
        merged(material, everywhere(bucket(material, size, groups), own), groups, tmp_path, 22) for groups in (1, 2)
    )
    assert one.keys() == two.keys()
    for key, values in one.items():
        np.testing.assert_array_equal(values, two[key])


def test_a_weight_for_one_expert_alone_is_that_expert_and_none_are_the_mean(material: Material, tmp_path: Path) -> None:
    buckets = bucket(material, material.ladder.manifest.rungs[22], 2)
    for index, task in enumerate(material.tasks):
        weights = {other: float(other == task) for other in material.tasks}
        made = merged(material, everywhere(buckets, {"name": "linear", "weights": weights}), 2, tmp_path, 22)
        for block in material.blocks.values():
            for name, tensor in zip(block.names, block.experts[index], strict=True):
                np.testing.assert_allclose(
                    made[f"{block.name} (0, 1, 2) {name}"].reshape(-1), tensor.read(), rtol=1e-5, atol=1e-6
                )
    nothing = {"name": "linear", "weights": dict.fromkeys(material.tasks, 0.0)}
    made = merged(material, everywhere(buckets, nothing), 2, tmp_path, 22)
    mean = merged(material, everywhere(buckets, {"name": "task_arithmetic", "scale": 1.0}), 2, tmp_path, 22)
    for key, values in mean.items():
        np.testing.assert_allclose(made[key], values, rtol=1e-5, atol=1e-6)


def test_a_scale_of_nothing_is_the_base(material: Material, tmp_path: Path) -> None:
    buckets = bucket(material, material.ladder.manifest.rungs[22], 1)
    made = merged(material, everywhere(buckets, {"name": "task_arithmetic", "scale": 0.0}), 1, tmp_path, 22)
    for block in material.blocks.values():
        for name, tensor in zip(block.names, block.base, strict=True):
            np.testing.assert_array_equal(made[f"{block.name} (0, 1, 2) {name}"].reshape(-1), tensor.read())


def test_every_tensor_has_one_bucket_by_depth_and_kind(material: Material) -> None:
    buckets = bucket(material, material.ladder.manifest.rungs[22], 2)
    assert buckets.of.keys() == {name for block in material.blocks.values() for name in block.names}
    assert buckets.of["encoder.layer.0.attention.self.query.weight"] == "0.attention"
    assert buckets.of["encoder.layer.1.output.dense.weight"] == "1.feed_forward"
    assert buckets.of["encoder.layer.1.output.LayerNorm.weight"] == "1.rest"
    assert buckets.of["embeddings.word_embeddings.weight"] == "0.rest"
    assert buckets.of["pooler.dense.weight"] == "1.rest"
    assert set(buckets.used) == set(buckets.of.values())
    assert bucket(material, material.ladder.manifest.rungs[0], 2).used == ()
