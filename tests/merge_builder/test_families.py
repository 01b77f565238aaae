"""Every supported family from end to end, on pico models that transformers itself saves and loads."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from merge_builder.blocks import Granularity
from merge_builder.build import build
from merge_builder.export import export
from merge_builder.recipe import load_recipe
from merge_builder.verify import verify

from .conftest import write_recipe

WIDTH = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12, "num_hidden_layers": 2}
TEXT = WIDTH | {"vocab_size": 19, "max_position_embeddings": 16, "pad_token_id": 1}
LLAMA = TEXT | {"num_key_value_heads": 1, "head_dim": 4}
T5 = {"d_model": 8, "d_kv": 4, "num_heads": 2, "d_ff": 12, "num_layers": 2, "vocab_size": 19}
IMAGE = WIDTH | {"image_size": 8, "patch_size": 4}
DISTIL = {"dim": 8, "n_heads": 2, "hidden_dim": 12, "n_layers": 2, "vocab_size": 19, "max_position_embeddings": 16}


@dataclass(frozen=True)
class Case:
    """Architectures of the base and the experts, and some of the sublayer blocks that they have."""

    config: Callable[..., Any]
    keys: dict[str, Any]
    base: str
    expert: str
    blocks: tuple[str, ...]


LLAMA_BLOCKS = ("embeddings", "layers.0.attention.norm", "layers.0.attention", "layers.1.feed_forward", "norm")
BERT_BLOCKS = ("embeddings", "embeddings.norm", "layers.0.attention", "layers.1.feed_forward.norm")
T5_BLOCKS = ("embeddings", "encoder.1.attention", "encoder.norm", "decoder.0.cross_attention", "decoder.norm")
SWIN = {"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4}
SWIN_BLOCKS = ("embeddings.norm", "layers.0.0.attention", "layers.0.downsample", "layers.1.1.feed_forward", "norm")
VIT_BLOCKS = ("embeddings", "layers.0.attention.norm", "layers.1.feed_forward", "norm")

CASES = {
    "llama": Case(transformers.LlamaConfig, LLAMA, "LlamaForCausalLM", "LlamaForCausalLM", (*LLAMA_BLOCKS, "lm_head")),
    "llama-tied": Case(
        transformers.LlamaConfig,
        LLAMA | {"tie_word_embeddings": True},
        "LlamaForCausalLM",
        "LlamaForCausalLM",
        LLAMA_BLOCKS,
    ),
    "llama-classifier": Case(
        transformers.LlamaConfig, LLAMA, "LlamaForCausalLM", "LlamaForSequenceClassification", LLAMA_BLOCKS
    ),
    "qwen2": Case(transformers.Qwen2Config, LLAMA, "Qwen2Model", "Qwen2ForCausalLM", LLAMA_BLOCKS),
    "qwen3": Case(transformers.Qwen3Config, LLAMA, "Qwen3Model", "Qwen3ForSequenceClassification", LLAMA_BLOCKS),
    "t5": Case(transformers.T5Config, T5, "T5ForConditionalGeneration", "T5ForConditionalGeneration", T5_BLOCKS),
    "t5-gated": Case(
        transformers.T5Config,
        T5 | {"feed_forward_proj": "gated-gelu"},
        "T5ForConditionalGeneration",
        "T5ForSequenceClassification",
        T5_BLOCKS,
    ),
    "mt5": Case(transformers.MT5Config, T5, "MT5ForConditionalGeneration", "MT5ForConditionalGeneration", T5_BLOCKS),
    "vit": Case(transformers.ViTConfig, IMAGE, "ViTModel", "ViTForImageClassification", VIT_BLOCKS),
    "deit": Case(transformers.DeiTConfig, IMAGE, "DeiTModel", "DeiTForImageClassification", VIT_BLOCKS),
    "dinov2": Case(transformers.Dinov2Config, IMAGE, "Dinov2Model", "Dinov2ForImageClassification", VIT_BLOCKS),
    "dinov2-swiglu": Case(
        transformers.Dinov2Config,
        IMAGE | {"use_swiglu_ffn": True},
        "Dinov2Model",
        "Dinov2ForImageClassification",
        VIT_BLOCKS,
    ),
    "beit": Case(
        transformers.BeitConfig,
        IMAGE | {"use_relative_position_bias": True},
        "BeitModel",
        "BeitForImageClassification",
        ("embeddings", "layers.0.attention.norm", "layers.1.feed_forward", "pooler"),
    ),
    "clip": Case(
        transformers.CLIPConfig,
        {"vision_config": IMAGE, "text_config": TEXT},
        "CLIPModel",
        "CLIPForImageClassification",
        (*VIT_BLOCKS, "embeddings.norm"),
    ),
    "clip-tower": Case(
        transformers.CLIPVisionConfig, IMAGE, "CLIPVisionModel", "CLIPVisionModel", (*VIT_BLOCKS, "embeddings.norm")
    ),
    "swin": Case(transformers.SwinConfig, SWIN, "SwinModel", "SwinForImageClassification", SWIN_BLOCKS),
    "bert": Case(transformers.BertConfig, TEXT, "BertForMaskedLM", "BertForSequenceClassification", BERT_BLOCKS),
    "bert-masked": Case(transformers.BertConfig, TEXT, "BertModel", "BertForMaskedLM", BERT_BLOCKS),
    "roberta": Case(transformers.RobertaConfig, TEXT, "RobertaModel", "RobertaForSequenceClassification", BERT_BLOCKS),
    "xlm-roberta": Case(
        transformers.XLMRobertaConfig, TEXT, "XLMRobertaForMaskedLM", "XLMRobertaForTokenClassification", BERT_BLOCKS
    ),
    "camembert": Case(
        transformers.CamembertConfig, TEXT, "CamembertModel", "CamembertForSequenceClassification", BERT_BLOCKS
    ),
    "mistral": Case(transformers.MistralConfig, LLAMA, "MistralModel", "MistralForCausalLM", LLAMA_BLOCKS),
    "electra": Case(
        transformers.ElectraConfig,
        TEXT | {"embedding_size": 4},
        "ElectraForPreTraining",
        "ElectraForSequenceClassification",
        (*BERT_BLOCKS, "embeddings.projection"),
    ),
    "distilbert": Case(
        transformers.DistilBertConfig,
        DISTIL,
        "DistilBertForMaskedLM",
        "DistilBertForSequenceClassification",
        BERT_BLOCKS,
    ),
    "albert": Case(
        transformers.AlbertConfig,
        TEXT | {"embedding_size": 4, "num_hidden_groups": 2},
        "AlbertForPreTraining",
        "AlbertForSequenceClassification",
        ("embeddings.projection", "layers.0.0.attention", "layers.1.0.feed_forward.norm", "pooler"),
    ),
    "mpnet": Case(
        transformers.MPNetConfig,
        TEXT,
        "MPNetForMaskedLM",
        "MPNetForSequenceClassification",
        (*BERT_BLOCKS, "relative_positions"),
    ),
    "modernbert": Case(
        transformers.ModernBertConfig,
        TEXT,
        "ModernBertForMaskedLM",
        "ModernBertForTokenClassification",
        ("embeddings", "layers.0.attention", "layers.1.attention.norm", "layers.1.feed_forward", "norm"),
    ),
    "deberta-v2": Case(
        transformers.DebertaV2Config,
        TEXT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "norm_rel_ebd": "layer_norm"},
        "DebertaV2ForMaskedLM",
        "DebertaV2ForSequenceClassification",
        (*BERT_BLOCKS, "relative_positions", "relative_positions.norm"),
    ),
    "deberta-v2-convolution": Case(
        transformers.DebertaV2Config,
        TEXT | {"conv_kernel_size": 3, "embedding_size": 4, "type_vocab_size": 2},
        "DebertaV2Model",
        "DebertaV2ForQuestionAnswering",
        (*BERT_BLOCKS, "embeddings.projection", "convolution", "convolution.norm"),
    ),
}


def save_suite(folder: Path, case: Case) -> Path:
    """Save a base and three fine-tunes of it with transformers, and write a recipe that averages them."""
    torch.manual_seed(0)
    base = getattr(transformers, case.base)(case.config(**case.keys))
    base.save_pretrained(folder / "base")
    for labels, task in enumerate("abc", 2):
        expert = getattr(transformers, case.expert)(case.config(**case.keys, num_labels=labels))
        expert.base_model.load_state_dict(base.base_model.state_dict(), strict=False)
        with torch.no_grad():
            for parameter in expert.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        expert.save_pretrained(folder / task)
    return write_recipe(folder, list("abc"), method={"name": "average"})


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", list(CASES))
def test_what_is_exported_is_what_transformers_saved(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    ladder = build(load_recipe(save_suite(tmp_path, case)), tmp_path / "ladder")
    assert verify(ladder) == []
    assert set(case.blocks) <= {block.name for block in ladder.manifest.blocks}
    for task in "abc":
        out = tmp_path / f"out-{task}"
        export(ladder, task, ladder.manifest.rungs[0], out)
        exported, expert = (load_file(folder / "model.safetensors") for folder in (out, tmp_path / task))
        assert set(exported) == set(expert)
        assert all(exported[key].tobytes() == expert[key].tobytes() for key in expert)
    for index in (0, -1):
        out = tmp_path / f"loaded{index}"
        export(ladder, "b", ladder.manifest.rungs[index], out)
        model, info = getattr(transformers, case.expert).from_pretrained(out, output_loading_info=True)
        assert (info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"]) == (set(), set(), set())
        assert json.loads((out / "config.json").read_text()) == json.loads((tmp_path / "b/config.json").read_text())
    assert model.config.num_labels == 3


@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
@pytest.mark.parametrize("name", ["llama", "t5", "vit", "electra", "albert", "modernbert", "deberta-v2-convolution"])
def test_the_smallest_rung_is_the_average_at_every_granularity(
    tmp_path: Path, name: str, granularity: Granularity
) -> None:
    save_suite(tmp_path, CASES[name])
    recipe = write_recipe(tmp_path, list("abc"), method={"name": "average"}, blocks=granularity)
    ladder = build(load_recipe(recipe), tmp_path / "ladder")
    export(ladder, "b", ladder.manifest.rungs[-1], tmp_path / "out")
    exported = load_file(tmp_path / "out/model.safetensors")
    experts = {task: load_file(tmp_path / task / "model.safetensors") for task in "abc"}
    merged = {tensor.name for block in ladder.manifest.blocks for tensor in block.tensors}
    prefix = ladder.manifest.tasks[1].prefix
    for key, weights in exported.items():
        if key in merged or key.removeprefix(prefix) in merged:
            mean = np.mean([expert[key].astype(np.float64) for expert in experts.values()], axis=0)
            np.testing.assert_allclose(weights, mean, atol=1e-6)
        else:
            assert weights.tobytes() == experts["b"][key].tobytes()
    assert len(merged) + len(ladder.manifest.tasks[1].head.tensors) == len(exported)


def test_a_sharded_export_loads_and_holds_the_same(tmp_path: Path) -> None:
    ladder = build(load_recipe(save_suite(tmp_path, CASES["llama"])), tmp_path / "ladder")
    rung = ladder.manifest.rungs[0]
    export(ladder, "a", rung, tmp_path / "one")
    export(ladder, "a", rung, tmp_path / "many", shard_bytes=2000)
    assert len(list((tmp_path / "many").glob("model-*-of-*.safetensors"))) > 2
    model, info = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "many", output_loading_info=True)
    assert not info["missing_keys"]
    whole = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "one").state_dict()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in model.state_dict().items())
