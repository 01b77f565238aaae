import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from merge_builder.blocks import layout_of, normalise
from merge_builder.build import build
from merge_builder.checkpoints import open_checkpoint
from merge_builder.export import export
from merge_builder.recipe import load_recipe

from ..conftest import write_recipe

SIZES = {"num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "vocab_size": 11}
LLAMA = LlamaConfig(**SIZES, num_key_value_heads=1)
T5 = T5Config(d_model=8, d_kv=4, num_heads=2, d_ff=12, num_layers=1, vocab_size=11)
T5_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")


def edit(folder: Path, weights: dict[str, np.ndarray | None], **config: object) -> None:
    """Change tensors (None removes one) and config keys of a saved checkpoint."""
    tensors = load_file(folder / "model.safetensors") | weights
    save_file({name: value for name, value in tensors.items() if value is not None}, folder / "model.safetensors")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))


def names(folder: Path) -> set[str]:
    with open_checkpoint(folder) as checkpoint:
        return set(normalise(checkpoint, layout_of(checkpoint.config, folder)).tensors)


def test_copies_of_t5s_embeddings_are_counted_and_stored_once(tmp_path: Path) -> None:
    sizes = {}
    for kind in ("plain", "copies"):
        folder = tmp_path / kind
        torch.manual_seed(0)
        for seed, name in enumerate(("base", "a", "b")):
            torch.manual_seed(seed)
            T5ForConditionalGeneration(T5).save_pretrained(folder / name)
            shared = load_file(folder / name / "model.safetensors")["shared.weight"]
            edit(folder / name, dict.fromkeys(T5_COPIES, shared) if kind == "copies" else {})
        ladder = build(load_recipe(write_recipe(folder, ["a", "b"])), folder / "ladder")
        sizes[kind] = [rung.bytes for rung in ladder.manifest.rungs]
    assert sizes["copies"] == sizes["plain"]
    export(ladder, "a", ladder.manifest.rungs[0], tmp_path / "out")
    assert set(load_file(tmp_path / "out/model.safetensors")) == set(load_file(tmp_path / "plain/a/model.safetensors"))
    model, info = T5ForConditionalGeneration.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert torch.equal(model.lm_head.weight, torch.from_numpy(shared_of(tmp_path / "copies/a")))


def shared_of(folder: Path) -> np.ndarray:
    return load_file(folder / "model.safetensors")["shared.weight"]


def test_an_output_layer_of_its_own_is_a_block(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("base", "a", "b"):
        T5ForConditionalGeneration(T5).save_pretrained(tmp_path / name)
        output = rng.normal(size=(11, 8)).astype(np.float32)
        edit(tmp_path / name, {"lm_head.weight": output}, tie_word_embeddings=False)
    ladder = build(load_recipe(write_recipe(tmp_path, ["a", "b"])), tmp_path / "ladder")
    assert "lm_head" in {block.name for block in ladder.manifest.blocks}
    export(ladder, "b", ladder.manifest.rungs[0], tmp_path / "out")
    model = T5ForConditionalGeneration.from_pretrained(tmp_path / "out")
    np.testing.assert_array_equal(model.lm_head.weight.detach().numpy(), output)


@pytest.mark.parametrize(("tied", "kept"), [(True, False), (False, True), (None, True)])
def test_equal_tensors_are_one_only_where_the_config_ties_them(tmp_path: Path, tied: bool | None, kept: bool) -> None:
    LlamaForCausalLM(LLAMA).save_pretrained(tmp_path)
    embeddings = load_file(tmp_path / "model.safetensors")["model.embed_tokens.weight"]
    edit(tmp_path, {"lm_head.weight": embeddings}, tie_word_embeddings=tied)
    if tied is None:
        config = json.loads((tmp_path / "config.json").read_text())
        del config["tie_word_embeddings"]
        (tmp_path / "config.json").write_text(json.dumps(config))
    assert ("lm_head.weight" in names(tmp_path)) == kept


def test_tensors_that_differ_stay_apart_whatever_the_config_says(tmp_path: Path) -> None:
    LlamaForCausalLM(LLAMA).save_pretrained(tmp_path)
    edit(tmp_path, {}, tie_word_embeddings=True)
    assert {"lm_head.weight", "embed_tokens.weight"} <= names(tmp_path)


def test_a_checkpoint_that_kept_the_second_name_alone_is_read(tmp_path: Path) -> None:
    LlamaForCausalLM(LLAMA).save_pretrained(tmp_path)
    edit(tmp_path, {"model.embed_tokens.weight": None}, tie_word_embeddings=True)
    found = names(tmp_path)
    assert "embed_tokens.weight" in found
    assert "lm_head.weight" not in found


def test_the_decoder_of_a_masked_language_model_is_its_embeddings(tmp_path: Path) -> None:
    BertForMaskedLM(BertConfig(**SIZES)).save_pretrained(tmp_path)
    plain = names(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    copies = {
        "cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"],
        "cls.predictions.decoder.bias": tensors["cls.predictions.bias"],
    }
    edit(tmp_path, copies)
    assert names(tmp_path) == plain
