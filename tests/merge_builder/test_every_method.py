"""What every merge method has to keep, through the whole builder."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from merge_builder.build import build
from merge_builder.ladder import Ladder, rung_at
from merge_builder.methods import REGISTRY
from merge_builder.recipe import Recipe, load_recipe

from .conftest import Weights, fine_tune, random_encoder, write_base, write_expert

TASKS = ("a", "b", "c", "d")
PLAIN = [name for name, method in REGISTRY.items() if not method.masked]
FROZEN = "embeddings.word_embeddings.weight"


@pytest.fixture
def experts(tmp_path: Path) -> dict[str, Weights]:
    """Four experts on disk; `b` and `c` are equal and `d` is the base itself; Fisher values for all of them."""
    base = random_encoder(0)
    own = {task: fine_tune(base, seed) | {FROZEN: base[FROZEN]} for seed, task in enumerate(TASKS, 1)}
    own |= {"c": own["b"], "d": base}
    write_base(tmp_path / "base", base)
    for task, weights in own.items():
        write_expert(tmp_path / task, weights)
        save_file({name: np.ones_like(w) for name, w in base.items()}, tmp_path / f"{task}.fisher")
    return own


def _recipe(folder: Path, tasks: tuple[str, ...], method: dict[str, object]) -> Recipe:
    sources = {task: {"model": task, "fisher": f"{task}.fisher"} for task in tasks}
    document = {"base": "base", "tasks": sources, "method": method, "linkage": "ward"}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return load_recipe(folder / "recipe.yaml")


def _weights(ladder: Ladder, rung: int, task: str) -> Weights:
    weights: Weights = {}
    for versions in rung_at(ladder.manifest, rung).versions.values():
        weights |= load_file(ladder.version_path(versions[task]))
    return weights


@pytest.mark.parametrize("dare", [{}, {"dare": {"drop": 0.5}}], ids=["plain", "dare"])
@pytest.mark.parametrize("name", PLAIN)
def test_threads_change_no_byte_and_groups_of_one_are_the_experts(
    tmp_path: Path, experts: dict[str, Weights], name: str, dare: dict[str, object]
) -> None:
    recipe = _recipe(tmp_path, TASKS, {"name": name} | dare)
    one, many = build(recipe, tmp_path / "one", threads=1), build(recipe, tmp_path / "many", threads=7)
    paths = [path for path in sorted(one.root.rglob("*")) if path.is_file()]
    assert len(paths) > len(TASKS)
    for path in paths:
        assert path.read_bytes() == (many.root / path.relative_to(one.root)).read_bytes()
    for task, own in experts.items():
        found = _weights(one, 0, task)
        assert found.keys() == own.keys()
        assert all(found[tensor].tobytes() == own[tensor].tobytes() for tensor in own)
    last = _weights(one, len(one.manifest.trace), "a")
    np.testing.assert_allclose(last[FROZEN], experts["d"][FROZEN], atol=1e-6)  # nobody changed it
    assert all(np.isfinite(weights).all() for weights in last.values())
    assert any(not np.array_equal(last[tensor], experts["d"][tensor]) for tensor in last)


@pytest.mark.usefixtures("experts")
def test_what_dare_drops_does_not_depend_on_the_order_of_the_tasks(tmp_path: Path) -> None:
    method = {"name": "average", "dare": {"drop": 0.5}}
    first = build(_recipe(tmp_path, TASKS, method), tmp_path / "first")
    turned = build(_recipe(tmp_path, TASKS[::-1], method), tmp_path / "turned")
    steps = len(first.manifest.trace)
    before, after = _weights(first, steps, "a"), _weights(turned, steps, "a")
    for tensor, weights in before.items():
        np.testing.assert_allclose(weights, after[tensor], atol=1e-6)


@pytest.mark.parametrize(("step", "wudi"), [(0.004, 1.0), (0.2, 0.5)])
def test_the_default_goes_by_how_far_whole_tasks_moved(tmp_path: Path, step: float, wudi: float) -> None:
    """Two tasks, so that Iso-C has no share; both move every matrix by `step` of its norm, or one a hundred times."""
    base = random_encoder(0)
    write_base(tmp_path / "base", base)
    rng = np.random.default_rng(1)
    for task in "ab":
        own = {name: values + step * values.std() * rng.normal(size=values.shape) for name, values in base.items()}
        own["pooler.dense.weight"] = base["pooler.dense.weight"] + 100 * (
            own["pooler.dense.weight"] - base["pooler.dense.weight"]
        )
        write_expert(tmp_path / task, {name: values.astype(np.float32) for name, values in own.items()})
    last = []
    for number, method in enumerate(({}, {"method": {"name": "wudi", "ridge": 0.1}}, {"method": {"name": "tsv"}})):
        document = {"base": "base", "tasks": {task: {"model": task} for task in "ab"}} | method
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(document))
        ladder = build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / f"{number}")
        last.append(_weights(ladder, len(ladder.manifest.trace), "a"))
    default, all_wudi, all_tsv = last
    for tensor, weights in default.items():
        expected = wudi * all_wudi[tensor] + (1 - wudi) * all_tsv[tensor]
        np.testing.assert_allclose(weights, expected, atol=1e-5 * (1 + np.abs(expected).max()))
