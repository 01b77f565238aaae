from pathlib import Path

import pytest
from safetensors.numpy import load_file
from transformers import AutoModel

from merge_builder.errors import InputError
from merge_builder.ladder import rung_at
from merge_builder.merge import merge
from merge_builder.recipe import load_recipe

from .conftest import fine_tune, random_encoder, write_expert, write_recipe


@pytest.mark.parametrize("name", ["average", "ties", "iso"])
def test_it_is_the_encoder_of_the_last_rung(suite: Path, make_ladder, name: str) -> None:
    ladder = make_ladder(method={"name": name})
    merge(load_recipe(write_recipe(suite, list("abc"), method={"name": name})), suite / "merged")
    shared = {}
    for version in rung_at(ladder.manifest, len(ladder.manifest.trace)).stored():
        shared |= load_file(ladder.version_path(version))
    merged = load_file(suite / "merged" / "model.safetensors")
    assert {n: w.tobytes() for n, w in merged.items()} == {n: w.tobytes() for n, w in shared.items()}
    _, info = AutoModel.from_pretrained(suite / "merged", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


def test_it_writes_over_nothing(suite: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        merge(load_recipe(suite / "recipe.yaml"), suite / "a")


def test_names_are_those_of_the_bases_own_checkpoint(tmp_path: Path) -> None:
    """A base that is itself a task model puts its prefix before the encoder's tensors; so does what is merged."""
    weights = random_encoder(0)
    write_expert(tmp_path / "base", weights)
    for seed, task in enumerate("ab", 1):
        write_expert(tmp_path / task, fine_tune(weights, seed))
    merge(load_recipe(write_recipe(tmp_path, ["a", "b"], method={"name": "average"})), tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    own = load_file(tmp_path / "base" / "model.safetensors")
    assert set(merged) == {name for name in own if name.startswith("bert.")}
