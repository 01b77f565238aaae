import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from merge_builder.blocks import Granularity, Parts, layout_of, normalise, split_base, split_expert
from merge_builder.checkpoints import open_checkpoint
from merge_builder.errors import InputError
from merge_builder.inputs import open_inputs
from merge_builder.recipe import load_recipe


def split(suite: Path, task: str, granularity: Granularity = "sublayer") -> Parts:
    """The parts of one expert beside the suite's base."""
    with open_checkpoint(suite / "base") as base, open_checkpoint(suite / task) as expert:
        layout = layout_of(base.config, base.path)
        base, expert = normalise(base, layout), normalise(expert, layout)
        return split_expert(expert, layout, granularity, split_base(base, layout, granularity, [expert]))


EXPECTED = {
    "layer": ["embeddings", "layers.0", "layers.1", "pooler"],
    "sublayer": [
        "embeddings",
        "embeddings.norm",
        *[
            f"layers.{i}.{part}"
            for i in range(2)
            for part in ("attention", "attention.norm", "feed_forward", "feed_forward.norm")
        ],
        "pooler",
    ],
}


@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
def test_every_tensor_is_in_one_block_or_the_head(suite: Path, granularity: Granularity) -> None:
    parts = split(suite, "a", granularity)
    assert parts.prefix == "bert."
    names = [name for tensors in parts.blocks.values() for name in tensors]
    assert sorted([f"bert.{name}" for name in names] + list(parts.head)) == sorted(
        load_file(suite / "a/model.safetensors")
    )
    assert list(parts.head) == ["classifier.bias", "classifier.weight"]
    assert list(parts.blocks) == (EXPECTED.get(granularity) or names)


def change(folder: Path, edit: dict[str, np.ndarray | None]) -> None:
    weights = load_file(folder / "model.safetensors")
    for name, value in edit.items():
        if value is None:
            del weights[name]
        else:
            weights[name] = value
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"bert.encoder.layer.0.surprise.weight": np.zeros(2, np.float32)}, "surprise.*no block"),
        ({"bert.encoder.layer.2.output.dense.bias": np.zeros(8, np.float32)}, "layer.2.*base"),
        ({"bert.embeddings.LayerNorm.bias": None}, "lacks.*embeddings.LayerNorm.bias"),
        ({"bert.embeddings.LayerNorm.bias": np.zeros(9, np.float32)}, r"embeddings.LayerNorm.bias.*\[9\].*\[8\]"),
        ({"bert.embeddings.LayerNorm.bias": np.zeros(8, np.int32)}, "embeddings.LayerNorm.bias.*I32"),
    ],
)
def test_what_does_not_fit_is_named(suite: Path, edit: dict[str, np.ndarray | None], message: str) -> None:
    change(suite / "a", edit)
    with pytest.raises(InputError, match=message):
        split(suite, "a")


def test_a_pooler_the_base_lacks_belongs_to_the_task(suite: Path) -> None:
    change(suite / "base", {"pooler.dense.weight": None, "pooler.dense.bias": None})
    parts = split(suite, "a")
    assert "pooler" not in parts.blocks
    assert {"pooler.dense.weight", "pooler.dense.bias"} < set(parts.head)


def test_an_unsupported_family_is_named(suite: Path) -> None:
    (suite / "base" / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    with open_checkpoint(suite / "base") as base, pytest.raises(InputError, match=r"mamba.*bert"):
        layout_of(base.config, base.path)


def test_a_pooler_that_one_expert_lacks_belongs_to_the_others(suite: Path) -> None:
    change(suite / "b", {"bert.pooler.dense.weight": None, "bert.pooler.dense.bias": None})
    with open_inputs(load_recipe(suite / "recipe.yaml")) as inputs:
        assert "pooler" not in inputs.base_parts.blocks
        own = [set(expert.parts.head) for expert in inputs.experts]
    classifier = {"classifier.weight", "classifier.bias"}
    assert own == [{*classifier, "pooler.dense.weight", "pooler.dense.bias"}, classifier, own[0]]


def test_a_changed_vocabulary_names_the_tensor_and_both_sizes(suite: Path) -> None:
    change(suite / "a", {"bert.embeddings.word_embeddings.weight": np.zeros((23, 8), np.float32)})
    with pytest.raises(
        InputError, match=r"word_embeddings.*23 rows.* 20:.*resize_token_embeddings\(20\).*vocabulary: pad"
    ):
        split(suite, "a")


def test_a_tensor_that_is_there_twice_is_named(suite: Path) -> None:
    change(suite / "a", {"pooler.dense.bias": np.zeros(8, np.float32)})
    with pytest.raises(InputError, match=r"pooler.dense.bias.*twice"):
        split(suite, "a")
