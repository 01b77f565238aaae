"""Experts of images that are no plain fine-tunes, on ViT: other in the head alone, or adapters."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from transformers import ViTForImageClassification, ViTImageProcessor, ViTModel

from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Image

from .image_rows import ROWS
from .rows import TASKS

ADAPTERS: dict[str, Callable[[], peft.PeftConfig]] = {
    "lora": lambda: peft.LoraConfig(
        r=2, lora_alpha=6, target_modules=["q_proj", "v_proj", "projection"], modules_to_save=["classifier"]
    ),
    "ia3": lambda: peft.IA3Config(
        target_modules=["k_proj", "fc2"], feedforward_modules=["fc2"], modules_to_save=["classifier"]
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a base lies, and experts are to lie."""
    torch.manual_seed(0)
    model = ViTModel(ROWS["vit"].config(**ROWS["vit"].keys))
    _shake(model, 0.2)
    model.save_pretrained(tmp_path / "base")
    ViTImageProcessor().save_pretrained(tmp_path / "base")
    return tmp_path


@torch.no_grad()
def _shake(model: torch.nn.Module, by: float) -> None:
    for parameter in model.parameters():
        parameter.add_(by * torch.randn_like(parameter))


def _expert(folder: Path, labels: int) -> ViTForImageClassification:
    model = ViTForImageClassification.from_pretrained(folder / "base", num_labels=labels)
    _shake(model.classifier, 0.3)
    return model


def _build(folder: Path) -> Ladder:
    recipe = {"base": "base", "tasks": {task: {"model": task} for task in TASKS}}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return build(load_recipe(folder / "recipe.yaml"), folder / "ladder", threads=1)


def _assert_answers(engine: Engine, task: str, model: torch.nn.Module) -> None:
    pixels = np.random.default_rng(1).standard_normal((2, 3, 20, 20), np.float32)
    batch = [Image(one, (task,), engine.image_tokens(20, 20)) for one in pixels]
    with torch.inference_mode():
        expected = model.eval()(pixel_values=torch.from_numpy(pixels)).logits.numpy()
    got = [logits[task] for logits in engine.run(batch).logits]
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=1e-5)


def test_experts_that_differ_in_their_head_alone_are_themselves_on_every_rung(folder: Path) -> None:
    models = {task: _expert(folder, labels) for labels, task in enumerate(TASKS, 2)}
    for task, model in models.items():
        model.save_pretrained(folder / task)
    ladder = _build(folder)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    for index in (0, len(ladder.manifest.trace)):
        engine.swap(rung_at(ladder.manifest, index))
        for task, model in models.items():
            _assert_answers(engine, task, model)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_adapters_are_served_as_peft_computes_them(folder: Path, kind: str) -> None:
    models = {}
    for labels, task in enumerate(TASKS, 2):
        tuned = peft.get_peft_model(_expert(folder, labels), ADAPTERS[kind]())
        with torch.no_grad():
            for parameter in filter(lambda p: p.requires_grad, tuned.parameters()):
                parameter.add_(0.3 * torch.randn_like(parameter))
        tuned.save_pretrained(folder / task)
        models[task] = tuned
    ladder = _build(folder)
    engine, last = load_engine(ladder, rung_at(ladder.manifest, 0)), len(ladder.manifest.trace)
    for task, model in models.items():
        _assert_answers(engine, task, model)
    engine.swap(rung_at(ladder.manifest, last))
    for task in TASKS:
        export(ladder, task, ladder.manifest.rungs[last], folder / f"out-{task}")
        _assert_answers(engine, task, ViTForImageClassification.from_pretrained(folder / f"out-{task}"))
