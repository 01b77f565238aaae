"""Ladders of masked methods: exact sizes, exports equal to dense references, and whole builds."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import Ladder, open_ladder, rung_at
from merge_builder.merge import merge
from merge_builder.plan import plan
from merge_builder.recipe import load_recipe
from merge_builder.verify import verify

from .conftest import Weights, fine_tune, random_encoder, write_base, write_expert, write_recipe
from .methods.test_consensus import dense_masks
from .methods.test_emr import dense_emr
from .methods.test_ties import dense_ties
from .test_build import files, interrupt_when_half

TASKS = "abcdef"
FROZEN = "embeddings.position_embeddings.weight"
METHODS = {
    "emr": {"name": "emr"},
    "consensus": {"name": "consensus", "cut": 0.5, "scale": 1.5},
    "consensus_ties": {"name": "consensus_ties", "cut": 0.5, "density": 1.0, "scale": 1.25},
}
MakeMasked = Callable[..., Ladder]


@pytest.fixture
def masked_suite(tmp_path: Path) -> Path:
    """Six experts: `a` to `c` pull one way, `d` to `f` another; one tensor is frozen in all, and `f` is the base."""
    base = random_encoder(0)
    write_base(tmp_path / "base", base)
    for number, task in enumerate(TASKS):
        common, own = fine_tune(base, 1 + number // 3), fine_tune(base, 10 + number)
        expert = {name: (common[name] + own[name]) / 2 for name in base} if task != "f" else dict(base)
        write_expert(tmp_path / task, expert | {FROZEN: base[FROZEN]})
    return tmp_path


@pytest.fixture
def make_masked(masked_suite: Path) -> MakeMasked:
    def make(name: str, method: str, **keys: object) -> Ladder:
        recipe = write_recipe(masked_suite, list(TASKS), method=METHODS[method], **keys)
        return build(load_recipe(recipe), masked_suite / name)

    return make


def _partition(ladder: Ladder, block: str, rung: int) -> list[tuple[str, ...]]:
    """The groups of a block from the trace alone."""
    groups = [(task,) for task in TASKS]
    for step in ladder.manifest.trace[:rung]:
        if step.block == block:
            merged = [g for g in groups if set(g) <= {*step.left, *step.right}]
            groups = [g for g in groups if g not in merged] + [tuple(sorted(t for g in merged for t in g))]
    return groups


def test_every_rung_has_the_closed_form_size(make_masked: MakeMasked) -> None:
    """FlexMerge: a block with groups of s tasks costs a base if any s > 2, and s where s <= 2, else 1 + s/32 each."""
    ladder = make_masked("ladder", "emr", blocks="layer")
    one_model = sum(block.bytes for block in ladder.manifest.blocks)
    for size in ladder.manifest.rungs:
        expected, rescalers = 0.0, 0
        for block in ladder.manifest.blocks:
            sizes = [len(group) for group in _partition(ladder, block.name, size.index)]
            models = any(s > 2 for s in sizes) + sum(s if s <= 2 else 1 + s / 32 for s in sizes)
            expected += models * block.bytes
            rescalers += 4 * sum(s for s in sizes if s > 2)
        assert size.ratio * one_model == pytest.approx(expected + rescalers)
    assert ladder.manifest.rungs[0].ratio == len(TASKS)
    assert ladder.manifest.rungs[-1].ratio == pytest.approx(2 + len(TASKS) / 32, rel=0.01)
    ratios = [rung.ratio for rung in ladder.manifest.rungs]
    assert ratios == sorted(ratios, reverse=True)


@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
def test_stated_bytes_are_those_of_the_files(make_masked: MakeMasked, granularity: str) -> None:
    ladder = make_masked("ladder", "emr", blocks=granularity)
    heads = sum(w.nbytes for task in TASKS for w in load_file(ladder.head_path(task)).values())
    kinds = set()
    for size in ladder.manifest.rungs:
        stored = rung_at(ladder.manifest, size.index).stored()
        kinds |= {version.kind for version in stored}
        held = sum(w.nbytes for version in stored for w in load_file(ladder.version_path(version)).values())
        assert size.bytes == held + heads
    assert kinds == {"expert", "base", "masked"}
    assert verify(ladder) == []


def test_what_all_experts_share_is_stored_once_and_unmasked(make_masked: MakeMasked) -> None:
    ladder = make_masked("ladder", "emr", blocks="tensor")
    versions = rung_at(ladder.manifest, len(ladder.manifest.trace)).versions[FROZEN]
    assert len({version.id for version in versions.values()}) == 1
    assert versions["a"].kind == "expert"
    assert FROZEN not in rung_at(ladder.manifest, len(ladder.manifest.trace)).bases


@pytest.mark.parametrize("method", METHODS)
def test_exports_are_the_dense_reference_and_rung_0_the_experts(
    masked_suite: Path, make_masked: MakeMasked, method: str
) -> None:
    ladder = make_masked("ladder", method)
    base = load_file(masked_suite / "base" / "model.safetensors")
    experts = {task: _encoder(masked_suite / task) for task in TASKS}
    blocks = {block.name: [tensor.name for tensor in block.tensors] for block in ladder.manifest.blocks}
    steps = len(ladder.manifest.trace)
    for index in (0, steps // 2, 4 * steps // 5, steps):
        dense: dict[tuple[str, tuple[str, ...]], dict[str, Weights]] = {}
        for task in TASKS:
            out = masked_suite / f"out-{index}-{task}"
            export(ladder, task, ladder.manifest.rungs[index], out)
            exported = _encoder(out)
            assert exported.keys() == experts[task].keys()
            for block, names in blocks.items():
                group = next(group for group in _partition(ladder, block, index) if task in group)
                if len(group) < 3 or all(np.array_equal(experts[t][n], experts[task][n]) for t in group for n in names):
                    for name in names:
                        assert exported[name].tobytes() == experts[task][name].tobytes()
                    continue
                if (block, group) not in dense:
                    dense[block, group] = _dense(method, base, [experts[t] for t in group], names)
                for name in names:
                    expected = dense[block, group][name][group.index(task)]
                    np.testing.assert_allclose(exported[name], expected, atol=1e-5)


def _encoder(folder: Path) -> Weights:
    weights = load_file(folder / "model.safetensors")
    return {name.removeprefix("bert."): w for name, w in weights.items() if not name.startswith("classifier")}


def _dense(method: str, base: Weights, experts: list[Weights], names: list[str]) -> dict[str, np.ndarray]:
    """Each tensor of a block as the group's members see it, [n, ...], from whole vectors in fp64."""
    vectors = np.stack([np.concatenate([(own[n].astype(float) - base[n]).ravel() for n in names]) for own in experts])
    if method == "emr":
        unified, masks = dense_emr(vectors)
        rescalers = np.abs(vectors).sum(axis=1) / np.maximum(np.abs(masks * unified).sum(axis=1), 1e-30)
        change = rescalers[:, None] * masks * unified
    else:
        unified = 1.5 * vectors.mean(axis=0) if method == "consensus" else dense_ties(vectors, 1.0, 1.25)
        change = dense_masks(vectors, unified, 0.5) * unified
    parts = np.split(change, np.cumsum([base[name].size for name in names])[:-1], axis=1)
    return {n: base[n] + part.reshape(-1, *base[n].shape) for n, part in zip(names, parts, strict=True)}


@pytest.mark.parametrize("method", METHODS)
def test_bytes_do_not_depend_on_threads(make_masked: MakeMasked, masked_suite: Path, method: str) -> None:
    one = make_masked("one", method)
    many = build(load_recipe(masked_suite / "recipe.yaml"), masked_suite / "many", threads=7)
    assert files(one.root) == files(many.root)


def test_a_half_written_build_resumes(make_masked: MakeMasked, masked_suite: Path) -> None:
    whole = make_masked("whole", "emr")
    recipe, out = load_recipe(masked_suite / "recipe.yaml"), masked_suite / "half"
    with pytest.raises(KeyboardInterrupt):
        build(recipe, out, threads=1, progress=interrupt_when_half)
    masked = [
        out / whole.version_path(v).relative_to(whole.root) for v in whole.manifest.versions if v.kind == "masked"
    ]
    assert 0 < sum(path.exists() for path in masked) < len(masked)
    assert files(build(recipe, out).root) == files(whole.root)


def test_the_dry_run_bounds_what_is_written(make_masked: MakeMasked, masked_suite: Path) -> None:
    ladder = make_masked("ladder", "emr")
    stored = sum(v.bytes for v in ladder.manifest.versions) + sum(t.head.bytes for t in ladder.manifest.tasks)
    most = plan(load_recipe(masked_suite / "recipe.yaml")).bytes_written
    assert stored <= most < 2 * stored


def test_two_tasks_stay_two_experts(masked_suite: Path) -> None:
    recipe = load_recipe(write_recipe(masked_suite, ["a", "d"], method={"name": "emr"}))
    ladder = build(recipe, masked_suite / "ladder")
    assert {version.kind for version in ladder.manifest.versions} == {"expert"}
    assert verify(ladder) == []


def test_two_tasks_share_what_is_frozen(masked_suite: Path) -> None:
    recipe = load_recipe(write_recipe(masked_suite, ["a", "d"], method={"name": "emr"}, blocks="tensor"))
    manifest = build(recipe, masked_suite / "ladder").manifest
    frozen = next(block.bytes for block in manifest.blocks if block.name == FROZEN)
    assert {rung.bytes for rung in manifest.rungs} == {manifest.rungs[0].bytes, manifest.rungs[0].bytes - frozen}


def test_any_flipped_byte_of_a_mask_is_found(make_masked: MakeMasked) -> None:
    ladder = make_masked("ladder", "emr")
    version = next(v for v in ladder.manifest.versions if v.kind == "masked" and "attention" in v.block)
    path = ladder.version_path(version)
    good = path.read_bytes()
    for place in range(len(good) - 400, len(good), 40):  # the masks of the last tensors, and the rescalers
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert any(path.name in problem for problem in verify(ladder))


@pytest.mark.parametrize("kind", ["base", "masked", "expert"])
def test_a_version_that_the_manifest_lost_is_found(make_masked: MakeMasked, kind: str) -> None:
    path = make_masked("ladder", "emr").root / "ladder.json"
    document = json.loads(path.read_text())
    lost = max((v for v in document["versions"] if v["kind"] == kind), key=lambda v: len(v["tasks"]))
    document["versions"].remove(lost)
    path.write_text(json.dumps(document))
    problems = "\n".join(verify(open_ladder(path.parent)))
    assert ("the rung table" if kind == "masked" else "no stored version") in problems


def test_one_plain_model_of_a_masked_method_is_refused(masked_suite: Path) -> None:
    write_recipe(masked_suite, list(TASKS), method={"name": "emr"})
    with pytest.raises(InputError, match="emr gives every task weights of its own"):
        merge(load_recipe(masked_suite / "recipe.yaml"), masked_suite / "merged")
