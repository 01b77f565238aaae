"""Ladders of three random experts, built and saved as the product and transformers themselves do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from merge_builder.build import build
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe

from ....checkpoints import tokenizer
from .rows import TASKS, Row

Build = Callable[..., Ladder]


@pytest.fixture(scope="session")
def make_ladder(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`make_ladder(name, row, blocks="sublayer", method="average")`, each built once; its checkpoints lie beside it."""
    suites: dict[str, Path] = {}
    ladders: dict[tuple[str, str, str], Ladder] = {}

    def make(name: str, row: Row, blocks: str = "sublayer", method: str = "average") -> Ladder:
        if name not in suites:
            suites[name] = tmp_path_factory.mktemp(name)
            save_suite(suites[name], row)
        folder = suites[name]
        if (key := (name, blocks, method)) not in ladders:
            recipe = folder / f"{blocks}-{method}.yaml"
            tasks = ", ".join(f"{task}: {{model: {task}}}" for task in TASKS)
            recipe.write_text(f"base: base\nblocks: {blocks}\nmethod: {{name: {method}}}\ntasks: {{{tasks}}}")
            ladders[key] = build(load_recipe(recipe), folder / f"{blocks}-{method}", threads=1)
        return ladders[key]

    return make


def save_suite(folder: Path, row: Row) -> None:
    """A random base, and experts of 2, 3, ... labels that differ from it in every tensor."""
    torch.manual_seed(0)
    base = getattr(transformers, row.base)(row.config(**row.keys))
    _shake(base, 0.2)
    base.save_pretrained(folder / "base")
    if row.sizes:
        transformers.ViTImageProcessor().save_pretrained(folder / "base")
    else:
        tokenizer().save_pretrained(folder / "base")
    for labels, task in enumerate(TASKS, 2):
        expert = getattr(transformers, row.expert).from_pretrained(folder / "base", num_labels=labels, **row.of_experts)
        _shake(expert, 0.1)
        expert.save_pretrained(folder / task)


@torch.no_grad()
def _shake(model: torch.nn.Module, by: float) -> None:
    for parameter in model.parameters():
        parameter.add_(by * torch.randn_like(parameter))
