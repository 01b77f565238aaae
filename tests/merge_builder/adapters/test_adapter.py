"""Adapters against PEFT itself: the expert that a ladder gives back is the model that PEFT merges and saves."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file

from merge_builder.build import build
from merge_builder.checkpoints import open_checkpoint
from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe
from merge_builder.verify import verify

from ..conftest import write_recipe

WIDTH = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12, "num_hidden_layers": 2}
BERT = transformers.BertConfig(**WIDTH, vocab_size=19, max_position_embeddings=16)
LLAMA = transformers.LlamaConfig(**WIDTH, vocab_size=19, num_key_value_heads=1)
T5 = transformers.T5Config(d_model=8, d_kv=4, num_heads=2, d_ff=12, num_layers=2, vocab_size=19)
ROBERTA = transformers.RobertaConfig(**WIDTH, vocab_size=19, max_position_embeddings=16)
MODERNBERT = transformers.ModernBertConfig(**WIDTH, vocab_size=19, max_position_embeddings=16, pad_token_id=0)
VIT = transformers.ViTConfig(**WIDTH, image_size=8, patch_size=4)

CASES: dict[str, tuple[Any, str, str, Callable[[], peft.PeftConfig]]] = {
    "bert": (
        BERT,
        "BertModel",
        "BertForSequenceClassification",
        lambda: peft.LoraConfig(
            task_type="SEQ_CLS", r=2, lora_alpha=6, target_modules=["query", "value", "dense"], bias="lora_only"
        ),
    ),
    "patterns": (
        BERT,
        "BertModel",
        "BertForSequenceClassification",
        lambda: peft.LoraConfig(
            task_type="SEQ_CLS",
            r=2,
            lora_alpha=6,
            use_rslora=True,
            target_modules=["query", "value", "word_embeddings"],
            rank_pattern={"layer.1.attention.self.query": 3},
            alpha_pattern={r"layer\.\d\.attention\.self\.value": 5},
            bias="all",
        ),
    ),
    "roberta": (
        ROBERTA,
        "RobertaModel",
        "RobertaForSequenceClassification",
        lambda: peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value", "output.dense"]),
    ),
    "modernbert": (
        MODERNBERT,
        "ModernBertForMaskedLM",
        "ModernBertForSequenceClassification",
        lambda: peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["Wqkv", "Wi"]),
    ),
    "llama": (
        LLAMA,
        "LlamaForCausalLM",
        "LlamaForCausalLM",
        lambda: peft.LoraConfig(
            task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "down_proj", "lm_head"], modules_to_save=["norm"]
        ),
    ),
    "llama-classifier": (
        LLAMA,
        "LlamaForCausalLM",
        "LlamaForSequenceClassification",
        lambda: peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules="all-linear"),
    ),
    "t5": (
        T5,
        "T5ForConditionalGeneration",
        "T5ForConditionalGeneration",
        lambda: peft.LoraConfig(task_type="SEQ_2_SEQ_LM", r=4, target_modules=["q", "v", "wo"]),
    ),
    "vit": (
        VIT,
        "ViTModel",
        "ViTForImageClassification",
        lambda: peft.LoraConfig(
            r=2, target_modules=["q_proj", "o_proj", "fc1", "projection"], modules_to_save=["classifier"]
        ),
    ),
    "ia3-bert": (
        BERT,
        "BertModel",
        "BertForSequenceClassification",
        lambda: peft.IA3Config(
            task_type="SEQ_CLS",
            target_modules=["key", "value", "output.dense"],
            feedforward_modules=["output.dense"],
        ),
    ),
    "ia3-llama": (
        LLAMA,
        "LlamaForCausalLM",
        "LlamaForCausalLM",
        lambda: peft.IA3Config(task_type="CAUSAL_LM"),
    ),
    "ia3-t5": (
        T5,
        "T5ForConditionalGeneration",
        "T5ForConditionalGeneration",
        lambda: peft.IA3Config(task_type="SEQ_2_SEQ_LM"),
    ),
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, torch.dtype], Path]:
    """`saved(name, dtype)`: the folder of a base, adapters `a` and `b` of it, and what PEFT merges them to, as
    `merged-a` and `merged-b`; for nobody to change.
    """

    @cache
    def save(name: str, dtype: torch.dtype) -> Path:
        folder = tmp_path_factory.mktemp(name)
        config, base_class, task_class, adapter = CASES[name]
        torch.manual_seed(0)
        getattr(transformers, base_class)(config).to(dtype).save_pretrained(folder / "base")
        for labels, task in enumerate("ab", 3):
            model = getattr(transformers, task_class).from_pretrained(folder / "base", num_labels=labels)
            tuned = peft.get_peft_model(model, adapter())
            with torch.no_grad():
                for parameter in tuned.parameters():
                    if parameter.requires_grad:
                        parameter.add_(0.3 * torch.randn_like(parameter))
            tuned.save_pretrained(folder / task)
            tuned.merge_and_unload().save_pretrained(folder / f"merged-{task}")
        return folder

    return save


@pytest.fixture
def save_suite(saved: Callable[[str, torch.dtype], Path], tmp_path: Path) -> Callable[..., None]:
    """`save_suite(name, dtype=torch.float32)` puts a copy of it into `tmp_path`."""

    def copy(name: str, dtype: torch.dtype = torch.float32) -> None:
        shutil.copytree(saved(name, dtype), tmp_path, dirs_exist_ok=True)

    return copy


def build_suite(folder: Path) -> Ladder:
    return build(load_recipe(write_recipe(folder, ["a", "b"], method={"name": "average"})), folder / "ladder")


@pytest.mark.parametrize("name", list(CASES))
def test_an_adapter_is_the_expert_that_peft_makes_of_it(
    tmp_path: Path, save_suite: Callable[..., None], name: str
) -> None:
    save_suite(name)
    ladder = build_suite(tmp_path)
    assert verify(ladder) == []
    for task in "ab":
        export(ladder, task, ladder.manifest.rungs[0], tmp_path / f"out-{task}")
        ours, theirs = (load_file(tmp_path / f / "model.safetensors") for f in (f"out-{task}", f"merged-{task}"))
        assert set(ours) == set(theirs)
        for key, weights in theirs.items():
            np.testing.assert_allclose(ours[key], weights, atol=1e-6, err_msg=key)
    model_class = getattr(transformers, CASES[name][2])
    model, info = model_class.from_pretrained(tmp_path / "out-b", output_loading_info=True)
    assert (info["missing_keys"], info["unexpected_keys"]) == (set(), set())
    if "Classification" in CASES[name][2]:
        assert len(ladder.manifest.tasks[1].labels) == model.config.num_labels == 4
    else:
        assert ladder.manifest.tasks[1].labels == ()
    assert json.loads((tmp_path / "out-b/config.json").read_text())["architectures"] == [CASES[name][2]]


def test_adapters_that_name_modules_as_older_releases_did_are_read_alike(
    tmp_path: Path, save_suite: Callable[..., None]
) -> None:
    save_suite("vit")
    path = tmp_path / "a" / "adapter_model.safetensors"
    older = (
        ("vit.layers.", "vit.encoder.layer."),
        ("attention.q_proj", "attention.attention.query"),
        ("attention.o_proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
    )
    weights = load_file(path)
    for new, old in older:
        weights = {name.replace(new, old): tensor for name, tensor in weights.items()}
    assert any("encoder.layer.0.attention.attention.query" in name for name in weights)
    save_file(weights, path)
    ladder = build_suite(tmp_path)
    export(ladder, "a", ladder.manifest.rungs[0], tmp_path / "out")
    ours, theirs = (load_file(tmp_path / f / "model.safetensors") for f in ("out", "merged-a"))
    for key, expected in theirs.items():
        np.testing.assert_allclose(ours[key], expected, atol=1e-6, err_msg=key)


def test_the_smallest_rung_averages_what_the_adapters_make(tmp_path: Path, save_suite: Callable[..., None]) -> None:
    save_suite("bert")
    ladder = build_suite(tmp_path)
    export(ladder, "a", ladder.manifest.rungs[-1], tmp_path / "out")
    ours, a, b = (load_file(tmp_path / f / "model.safetensors") for f in ("out", "merged-a", "merged-b"))
    for key in ours:
        expected = a[key] if key.startswith("classifier") else (a[key].astype(float) + b[key]) / 2
        np.testing.assert_allclose(ours[key], expected, atol=1e-6)


def test_half_precision_is_folded_in_fp32(tmp_path: Path, save_suite: Callable[..., None]) -> None:
    save_suite("llama", torch.bfloat16)
    ladder = build_suite(tmp_path)
    assert {t.dtype for block in ladder.manifest.blocks for t in block.tensors} == {"BF16"}
    export(ladder, "a", ladder.manifest.rungs[0], tmp_path / "out")
    ours, theirs = (load_file(tmp_path / f / "model.safetensors") for f in ("out", "merged-a"))
    for key, weights in theirs.items():
        np.testing.assert_allclose(ours[key].astype(float), weights.astype(float), rtol=2**-7, atol=2**-8)


def test_adapters_and_whole_models_mix_and_every_adapter_file_is_hashed(
    tmp_path: Path, save_suite: Callable[..., None]
) -> None:
    save_suite("bert")
    recipe = write_recipe(tmp_path, ["a", "merged-b"], method={"name": "average"})
    ladder = build(load_recipe(recipe), tmp_path / "ladder")
    experts = ladder.manifest.provenance.experts
    assert set(experts["a"].files) == {"adapter_config.json", "adapter_model.safetensors"}
    assert set(experts["merged-b"].files) == {"config.json", "model.safetensors"}


def change_config(folder: Path, **keys: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights.*pissa"),
        ({"loftq_config": {"loftq_bits": 4}}, "loftq_config"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"some_new_option": 1}, "some_new_option"),
        ({"peft_type": "PREFIX_TUNING"}, "PREFIX_TUNING"),
    ],
)
def test_what_cannot_be_folded_is_named(
    tmp_path: Path, save_suite: Callable[..., None], keys: dict[str, object], message: str
) -> None:
    save_suite("llama")
    change_config(tmp_path / "b", **keys)
    with pytest.raises(InputError, match=f"task 'b'.*{message}"):
        build_suite(tmp_path)
    assert not (tmp_path / "ladder").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight": (2, 8)}, "layers.7.*does not have"),
        ({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (2, 9)}, "q_proj.*do not fit"),
        ({"base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight": (2, 8)}, "only one.*v_proj"),
        ({"base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector": (8,)}, "lora_magnitude_vector"),
        ({"base_model.model.model.embed_tokens.weight": (23, 8)}, "embed_tokens.*23 rows.* 19"),
    ],
)
def test_tensors_that_do_not_fit_the_base_are_named(
    tmp_path: Path, save_suite: Callable[..., None], edit: dict[str, tuple[int, ...]], message: str
) -> None:
    save_suite("llama")
    path = tmp_path / "a" / "adapter_model.safetensors"
    save_file(load_file(path) | {name: np.ones(shape, np.float32) for name, shape in edit.items()}, path)
    with pytest.raises(InputError, match=f"task 'a'.*{message}"):
        build_suite(tmp_path)


def test_an_adapter_is_no_base_and_a_pickled_one_no_expert(tmp_path: Path, save_suite: Callable[..., None]) -> None:
    save_suite("llama")
    with pytest.raises(InputError, match=r"adapter.*base, name the model it was trained on.*base'"):
        open_checkpoint(tmp_path / "a")
    (tmp_path / "b" / "adapter_model.safetensors").rename(tmp_path / "b" / "adapter_model.bin")
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors.*save_pretrained"):
        build_suite(tmp_path)
