from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.ladder import rung_at
from merge_builder.methods.fisher import fisher
from merge_builder.recipe import load_recipe


def test_it_is_the_weighted_mean_and_falls_back_to_the_average() -> None:
    vectors = np.array([[1.0, 2.0, 4.0], [3.0, 6.0, 8.0]], np.float32)
    values = np.array([[1.0, 0.0, 0.0], [3.0, 5.0, 0.0]], np.float32)
    np.testing.assert_allclose(fisher(vectors, values), [2.5, 6.0, 6.0])


def test_the_builder_brings_the_values_from_the_recipes_files(suite: Path) -> None:
    rng = np.random.default_rng(0)
    base = load_file(suite / "base" / "model.safetensors")
    document = yaml.safe_load((suite / "recipe.yaml").read_text()) | {"method": {"name": "fisher"}}
    for task in "abc":
        save_file({n: rng.random(w.shape).astype(np.float32) for n, w in base.items()}, suite / f"{task}.fisher")
        document["tasks"][task]["fisher"] = f"{task}.fisher"
    (suite / "recipe.yaml").write_text(yaml.safe_dump(document))
    ladder = build(load_recipe(suite / "recipe.yaml"), suite / "ladder")
    last = rung_at(ladder.manifest, len(ladder.manifest.trace))
    merged = {n: w for v in last.stored() for n, w in load_file(ladder.version_path(v)).items()}
    name = "encoder.layer.1.output.dense.weight"
    weights = [load_file(suite / f"{task}.fisher")[name].astype(float) for task in "abc"]
    taus = [load_file(suite / task / "model.safetensors")[f"bert.{name}"].astype(float) - base[name] for task in "abc"]
    expected = base[name] + sum(f * t for f, t in zip(weights, taus, strict=True)) / sum(weights)
    np.testing.assert_allclose(merged[name], expected, atol=1e-6)

    values = load_file(suite / "b.fisher")
    del values[name]
    save_file(values, suite / "b.fisher")
    with pytest.raises(InputError, match=rf"'b'.*{name}"):
        build(load_recipe(suite / "recipe.yaml"), suite / "other")
    del document["tasks"]["c"]["fisher"]
    (suite / "recipe.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match=r"tasks\.c\.fisher"):
        load_recipe(suite / "recipe.yaml")
