"""Stacks of random models of every family against transformers, whose hidden states are scaled by hooks."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file
from torch import nn

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import Recipe, load_recipe
from merge_builder.tuning.depth.families import FAMILIES
from merge_builder.tuning.depth.ladder import write_stack
from merge_builder.tuning.depth.sources import open_sources
from merge_builder.tuning.depth.stack import Stack, integrate, whole
from merge_builder.tuning.material import open_material
from merge_builder.verify import verify
from serving.engine.engine import load_engine
from serving.engine.types import Encoded, Image

from ....serving.engine.families import image_rows, rows
from ....serving.engine.families.conftest import save_suite

ROWS = rows.ROWS | image_rows.ROWS
NAMES = ["bert", "bert-without-pooler", "roberta", "distilbert", "electra", "mpnet", "vit", "deit", "dinov2"]
MIXED = integrate("bee", [["ant"], ["(merged)", "cat"], []], [0.5, 1.75, 0.8])


Suite = Callable[[str], tuple[Recipe, Ladder]]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """`suite(name)`: three experts of the row, and their ladder; the folder holds each as its task is called."""
    torch.set_num_threads(1)

    @cache
    def make(name: str) -> tuple[Recipe, Ladder]:
        folder = tmp_path_factory.mktemp(name)
        save_suite(folder, ROWS[name])
        path = folder / "recipe.yaml"
        experts = ", ".join(f"{t}: {{model: {t}}}" for t in rows.TASKS)
        path.write_text(f"base: base\nmethod: {{name: average}}\ntasks: {{{experts}}}")
        recipe = load_recipe(path)
        return recipe, build(recipe, folder / "untuned", threads=1)

    return make


def stacked(recipe: Recipe, ladder: Ladder, stack: Stack, out: Path) -> Ladder:
    with open_material(recipe, ladder) as material, open_sources(material) as sources:
        return write_stack(sources, stack, out)


def layers(model: nn.Module, depth: int) -> nn.ModuleList:
    return next(m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == depth)


def scaled(model: nn.Module, stack: Stack) -> nn.Module:
    def times(scale: float):
        return lambda _layer, _inputs, out: (out[0] * scale, *out[1:]) if isinstance(out, tuple) else out * scale

    for layer, own in zip(layers(model, len(stack.layers)), stack.layers, strict=True):
        layer.register_forward_hook(times(own.scale))
    return model


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_a_stack_is_transformers_layers_one_after_the_other(name: str, suite: Suite, tmp_path: Path) -> None:
    """`bee` is served by the stack as it would be by a model whose layers are taken out of others and scaled."""
    row, (recipe, untuned) = ROWS[name], suite(name)
    ladder = stacked(recipe, untuned, MIXED, tmp_path / "out")
    assert verify(ladder) == []
    export(ladder, "bee", ladder.manifest.rungs[0], tmp_path / "bee-stacked")
    expert = getattr(transformers, row.expert)
    made = expert.from_pretrained(tmp_path / "bee-stacked").eval()

    export(untuned, "bee", untuned.manifest.rungs[-1], tmp_path / "bee-merged")
    saved = untuned.root.parent
    folders = {"(merged)": tmp_path / "bee-merged", "(base)": saved / "base"}
    right = deepcopy(made)
    right.load_state_dict(
        {n: v for n, v in expert.from_pretrained(saved / "bee").state_dict().items() if n in right.state_dict()},
        strict=False,
    )
    target = layers(right, 4)
    for number, own in enumerate(MIXED.layers):
        # The base as an expert: of its layers none is new.
        source = expert.from_pretrained(folders.get(own.source, saved / own.source)).eval()
        target[number].load_state_dict(layers(source, 3)[own.layer].state_dict())
    right = scaled(right, MIXED)

    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    if row.sizes:
        pixels = np.random.default_rng(0).standard_normal((3, 20, 20), np.float32)
        answers = [model(torch.from_numpy(pixels)[None]).logits[0] for model in (right, made)]
        item: Encoded | Image = Image(pixels, ("bee",), engine.image_tokens(20, 20))
    else:
        ids = (2, 9, 7, 30, 3)
        answers = [model(torch.tensor([ids])).logits[0] for model in (right, made)]
        item = Encoded(ids, (0,) * len(ids), ("bee",))
    answers.append(torch.from_numpy(engine.run([item]).logits[0]["bee"]))
    for answer in answers[1:]:
        torch.testing.assert_close(answer, answers[0], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", ["bert", "vit", "dinov2"])
def test_every_layer_of_one_expert_is_that_expert_bit_for_bit(name: str, suite: Suite, tmp_path: Path) -> None:
    recipe, untuned = suite(name)
    ladder = stacked(recipe, untuned, whole("cat", 3), tmp_path / "out")
    export(ladder, "cat", ladder.manifest.rungs[0], tmp_path / "cat-stacked")
    folders = tmp_path / "cat-stacked", untuned.root.parent / "cat"
    found, expert = (load_file(folder / "model.safetensors") for folder in folders)
    assert found.keys() == expert.keys()
    for key, values in expert.items():
        np.testing.assert_array_equal(found[key], values)


@pytest.mark.parametrize("name", ["albert", "clip", "swin", "modernbert"])
def test_other_families_are_refused(name: str, suite: Suite, tmp_path: Path) -> None:
    recipe, untuned = suite(name)
    with pytest.raises(InputError, match=f"'{name}' model cannot be chosen one by one"):
        stacked(recipe, untuned, MIXED, tmp_path / "out")
    assert not any(name in family.model_types for family in FAMILIES)
