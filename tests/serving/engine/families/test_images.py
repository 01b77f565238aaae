"""Families of images from end to end: the engine answers as transformers does with the exported checkpoints."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import Engine, load_engine
from serving.engine.types import BatchOutput, Encoded, Image

TASKS = "abc"
WIDTH = {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 40, "num_hidden_layers": 3}
IMAGE = WIDTH | {"image_size": 20, "patch_size": 4, "layer_norm_eps": 1e-5}
CLIP = {"vision_config": IMAGE, "text_config": WIDTH | {"vocab_size": 20, "bos_token_id": 1, "eos_token_id": 2}}
SIZES = ((20, 20), (20, 20), (12, 28), (28, 12), (36, 16), (9, 15), (4, 4))


@dataclass(frozen=True)
class Case:
    """A configuration, the architectures of base and experts, and the keywords that let a model take any size."""

    config: Callable[[], Any]
    base: str
    expert: str
    any_size: dict[str, bool] = field(default_factory=dict)


ANY_SIZE = {"interpolate_pos_encoding": True}
CASES = {
    "vit": Case(lambda: transformers.ViTConfig(**IMAGE), "ViTModel", "ViTForImageClassification", ANY_SIZE),
    "deit": Case(lambda: transformers.DeiTConfig(**IMAGE), "DeiTModel", "DeiTForImageClassification", ANY_SIZE),
    "deit-with-teacher": Case(
        lambda: transformers.DeiTConfig(**IMAGE), "DeiTModel", "DeiTForImageClassificationWithTeacher", ANY_SIZE
    ),
    "clip": Case(lambda: transformers.CLIPConfig(**CLIP), "CLIPModel", "CLIPForImageClassification", ANY_SIZE),
    "dinov2": Case(lambda: transformers.Dinov2Config(**IMAGE), "Dinov2Model", "Dinov2ForImageClassification"),
    "dinov2-swiglu": Case(
        lambda: transformers.Dinov2Config(**IMAGE, use_swiglu_ffn=True), "Dinov2Model", "Dinov2ForImageClassification"
    ),
}


def _write_suite(folder: Path, case: Case) -> Path:
    """A random base, three experts that differ from it in every tensor, and a recipe."""
    torch.manual_seed(0)
    base = getattr(transformers, case.base)(case.config())
    _shake(base, 0.3)
    base.save_pretrained(folder / "base")
    (folder / "base/preprocessor_config.json").write_text('{"image_processor_type": "ViTImageProcessor"}')
    for labels, task in enumerate(TASKS, 2):
        expert = getattr(transformers, case.expert).from_pretrained(folder / "base", num_labels=labels)
        _shake(expert, 0.1)
        expert.save_pretrained(folder / task)
    recipe = folder / "recipe.yaml"
    tasks = ", ".join(f"{task}: {{model: {task}}}" for task in TASKS)
    recipe.write_text(f"base: base\nblocks: BLOCKS\nmethod: {{name: average}}\ntasks: {{{tasks}}}")
    return recipe


@torch.no_grad()
def _shake(model: torch.nn.Module, by: float) -> None:
    for parameter in model.parameters():
        parameter.add_(by * torch.randn_like(parameter))


@pytest.fixture(scope="module", params=list(CASES))
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    _write_suite(folder, CASES[request.param])
    return CASES[request.param], folder


def _built(folder: Path, granularity: str, tmp_path: Path) -> Ladder:
    recipe = folder / f"{granularity}.yaml"
    recipe.write_text((folder / "recipe.yaml").read_text().replace("BLOCKS", granularity))
    return build(load_recipe(recipe), tmp_path / "ladder", threads=1)


def _image(engine: Engine, chance: random.Random, tasks: tuple[str, ...], size: tuple[int, int]) -> Image:
    pixels = np.random.default_rng(chance.randrange(1 << 30)).standard_normal((3, *size), np.float32)
    return Image(pixels, tasks, engine.image_tokens(*size))


def _batch(engine: Engine, seed: int) -> list[Image]:
    chance = random.Random(seed)
    return [_image(engine, chance, tuple(chance.sample(TASKS, chance.randint(1, 3))), size) for size in SIZES]


def _assert_right(case: Case, ladder: Ladder, batch: list[Image], output: BatchOutput, out: Path) -> None:
    for task in TASKS:
        if not (folder := out / f"{task}-{output.rung.size.index}").exists():
            export(ladder, task, output.rung.size, folder)
        model = getattr(transformers, case.expert).from_pretrained(folder).eval()
        for item, logits in zip(batch, output.logits, strict=True):
            assert set(logits) == set(item.tasks)
            if task in item.tasks:
                with torch.inference_mode():
                    expected = model(torch.from_numpy(item.pixels)[None], **case.any_size).logits[0]
                assert expected.abs().max() > 0.01
                np.testing.assert_allclose(logits[task], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
def test_logits_are_those_of_transformers(suite: tuple[Case, Path], granularity: str, tmp_path: Path) -> None:
    case, folder = suite
    ladder = _built(folder, granularity, tmp_path)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    last = len(ladder.manifest.rungs) - 1
    for index in (0, last // 2, last):
        engine.swap(rung_at(ladder.manifest, index))
        batch = _batch(engine, seed=index)
        _assert_right(case, ladder, batch, engine.run(batch), tmp_path)


def test_rung_0_exports_the_experts_bit_for_bit_with_their_image_processor(
    suite: tuple[Case, Path], tmp_path: Path
) -> None:
    _, folder = suite
    ladder = _built(folder, "sublayer", tmp_path)
    for task in TASKS:
        out = tmp_path / task
        export(ladder, task, ladder.manifest.rungs[0], out)
        exported, expert = (load_file(path / "model.safetensors") for path in (out, folder / task))
        assert exported.keys() == expert.keys()
        assert all(exported[name].tobytes() == expert[name].tobytes() for name in expert)
        assert json.loads((out / "preprocessor_config.json").read_text()) == {
            "image_processor_type": "ViTImageProcessor"
        }


def test_fan_out_at_the_last_rung_is_one_pass_and_at_the_first_one_each(
    suite: tuple[Case, Path], tmp_path: Path
) -> None:
    _, folder = suite
    ladder = _built(folder, "sublayer", tmp_path)
    engine = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1))
    item = _image(engine, random.Random(0), tuple(TASKS), (20, 20))
    assert engine.run([item]).layer_tokens == 3 * item.length
    engine.swap(rung_at(ladder.manifest, 0))
    assert engine.run([item]).layer_tokens == 3 * 3 * item.length


def test_8_bits_answer_nearly_alike(suite: tuple[Case, Path], tmp_path: Path) -> None:
    _, folder = suite
    ladder = _built(folder, "sublayer", tmp_path)
    rung = rung_at(ladder.manifest, len(ladder.manifest.rungs) // 2)
    exact, small = load_engine(ladder, rung), load_engine(ladder, rung, dtype="int8")
    batch = _batch(exact, seed=1)
    right, got = (
        np.concatenate([values for logits in engine.run(batch).logits for values in logits.values()])
        for engine in (exact, small)
    )
    assert small.bytes_loaded["blocks"] < 0.6 * exact.bytes_loaded["blocks"]
    assert 0 < np.linalg.norm(got - right) < 0.1 * np.linalg.norm(right)


def test_what_is_no_image_of_this_model_is_refused(suite: tuple[Case, Path], tmp_path: Path) -> None:
    _, folder = suite
    ladder = _built(folder, "layer", tmp_path)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    with pytest.raises(InputError, match="3 x 40 pixels is smaller than one patch of 4 x 4"):
        engine.image_tokens(3, 40)
    with pytest.raises(InputError, match="is of images, and an input is a text"):
        engine.run([Encoded((1,), (0,), ("a",))])
    tokens = engine.image_tokens(20, 20)
    with pytest.raises(InputError, match=f"has {tokens} tokens, not 7"):
        engine.run([Image(np.zeros((3, 20, 20), np.float32), ("a",), 7)])
