import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from merge_builder.blocks import Granularity
from merge_builder.build import build
from merge_builder.errors import InputError, MergeLadderError
from merge_builder.ladder import rung_at
from merge_builder.recipe import load_recipe
from merge_builder.verify import verify

from .conftest import encoder_shapes, fine_tune, random_encoder, write_base, write_expert, write_recipe


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def stored(ladder, rung: int, task: str) -> dict[str, np.ndarray]:
    weights = {}
    for versions in rung_at(ladder.manifest, rung).versions.values():
        weights |= load_file(ladder.version_path(versions[task]))
    return weights


@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
def test_rung_0_is_the_experts_and_the_last_their_average(suite: Path, make_ladder, granularity: Granularity) -> None:
    ladder = make_ladder(blocks=granularity)
    experts = {task: load_file(suite / task / "model.safetensors") for task in "abc"}
    for task, expert in experts.items():
        first, last = stored(ladder, 0, task), stored(ladder, len(ladder.manifest.trace), task)
        assert set(first) == set(last) == set(encoder_shapes())
        for name, weights in first.items():
            np.testing.assert_array_equal(weights, expert[f"bert.{name}"])
            mean = np.mean([experts[t][f"bert.{name}"].astype(np.float64) for t in "abc"], axis=0)
            np.testing.assert_allclose(last[name], mean, atol=1e-6)
        head = load_file(ladder.head_path(task))
        assert all(np.array_equal(head[name], expert[name]) for name in ("classifier.weight", "classifier.bias"))
    assert verify(ladder) == []


@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
@pytest.mark.parametrize("tasks", ["abc", "abcdef"])
def test_the_trace_is_the_greedy_one_from_the_files(tmp_path: Path, granularity: Granularity, tasks: str) -> None:
    base = random_encoder(0)
    own = {task: fine_tune(base, seed) for seed, task in enumerate(tasks, 1)}
    own |= {"b": own["a"], "c": base}  # a tie in every block, and task vectors of zero
    write_base(tmp_path / "base", base)
    for task, weights in own.items():
        write_expert(tmp_path / task, weights)
    recipe = write_recipe(tmp_path, list(tasks), method={"name": "average"}, blocks=granularity)
    ladder = build(load_recipe(recipe), tmp_path / "ladder")
    experts = {task: load_file(tmp_path / task / "model.safetensors") for task in tasks}
    tensors = {block.name: [t.name for t in block.tensors] for block in ladder.manifest.blocks}

    def vector(task: str, block: str) -> np.ndarray:
        return np.concatenate([(experts[task][f"bert.{n}"].astype(float) - base[n]).ravel() for n in tensors[block]])

    def cosine(left: str, right: str, block: str) -> float:
        u, v = vector(left, block), vector(right, block)
        scale = np.linalg.norm(u) * np.linalg.norm(v)
        return round(float(u @ v / scale), 8) if scale else float(not u.any() and not v.any())

    groups = {block: [(task,) for task in tasks] for block in tensors}
    for step in ladder.manifest.trace:
        _, order, left, right = min(
            (-min(cosine(i, j, block) for i in a for j in b), order, a, b)
            for order, block in enumerate(tensors)
            for a, b in combinations(sorted(groups[block]), 2)
        )
        block = list(tensors)[order]
        assert (step.block, step.left, step.right) == (block, left, right)
        groups[block] = [g for g in groups[block] if g not in (left, right)] + [tuple(sorted(left + right))]


def test_bytes_do_not_depend_on_threads_or_on_the_folder(suite: Path) -> None:
    recipe = load_recipe(suite / "recipe.yaml")
    build(recipe, suite / "one", threads=1)
    build(recipe, suite / "many", threads=7)
    assert files(suite / "one") == files(suite / "many")


def test_scaled_task_vectors(suite: Path, make_ladder) -> None:
    ladder = make_ladder(method={"name": "task_arithmetic", "scale": 0.5})
    base = load_file(suite / "base" / "model.safetensors")
    experts = [load_file(suite / task / "model.safetensors") for task in "abc"]
    for name, weights in stored(ladder, len(ladder.manifest.trace), "a").items():
        mean = np.mean([e[f"bert.{name}"].astype(float) - base[name] for e in experts], axis=0)
        np.testing.assert_allclose(weights, base[name] + 0.5 * mean, atol=1e-6)


def test_half_precision_is_merged_in_fp32_and_stored_as_it_came(tmp_path: Path) -> None:
    weights = random_encoder(0)
    write_base(tmp_path / "base", weights)
    for seed, task in enumerate("ab", 1):
        tuned = fine_tune(weights, seed)
        write_expert(tmp_path / task, {n: w.astype(ml_dtypes.bfloat16) for n, w in tuned.items()})
    recipe = write_recipe(tmp_path, ["a", "b"], method={"name": "average"})
    ladder = build(load_recipe(recipe), tmp_path / "ladder")
    a, b = (load_file(tmp_path / task / "model.safetensors") for task in "ab")
    merged = stored(ladder, len(ladder.manifest.trace), "a")
    for name, value in merged.items():
        assert value.dtype == ml_dtypes.bfloat16
        mean = (a[f"bert.{name}"].astype(float) + b[f"bert.{name}"].astype(float)) / 2
        np.testing.assert_allclose(value.astype(float), mean, rtol=2**-8)
    assert verify(ladder) == []


def test_progress_counts_the_bytes_as_they_are_stored(tmp_path: Path) -> None:
    weights = random_encoder(0)
    write_base(tmp_path / "base", {name: values.astype(np.float16) for name, values in weights.items()})
    for seed, task in enumerate("ab", 1):
        write_expert(tmp_path / task, fine_tune(weights, seed))
    last: dict[str, tuple[int, int]] = {}
    recipe = load_recipe(write_recipe(tmp_path, ["a", "b"], method={"name": "blend"}))
    build(recipe, tmp_path / "ladder", progress=lambda stage, done, total, _unit: last.update({stage: (done, total)}))
    assert {"comparing experts", "writing blocks"} <= set(last)
    assert all(done == total for done, total in last.values())


def test_one_task_makes_a_ladder_of_one_rung(suite: Path) -> None:
    ladder = build(load_recipe(write_recipe(suite, ["a"])), suite / "ladder")
    assert [rung.ratio for rung in ladder.manifest.rungs] == [1.0]
    assert verify(ladder) == []


def test_a_killed_build_goes_on_and_ends_the_same(suite: Path) -> None:
    expected = files(build(load_recipe(suite / "recipe.yaml"), suite / "whole").root)
    script = (
        "import sys; from pathlib import Path; from merge_builder.build import build; "
        "from merge_builder.recipe import load_recipe; build(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    out, killed = suite / "killed", 0
    for delay in (0.15, 0.2, 0.25, 0.3, 0.33, 0.36, 0.4, 0.45):
        process = subprocess.Popen([sys.executable, "-c", script, suite / "recipe.yaml", out])
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if (out / "ladder.json").exists():
            break
        assert not [path for path in out.rglob("*.safetensors") if path.name not in {Path(n).name for n in expected}]
    assert killed
    if not (out / "ladder.json").exists():
        build(load_recipe(suite / "recipe.yaml"), out)
    assert files(out) == expected


def test_a_finished_build_is_found_done(suite: Path) -> None:
    recipe = load_recipe(suite / "recipe.yaml")
    ladder = build(recipe, suite / "ladder")
    (suite / "ladder" / ".build.json").write_text("{}")  # killed after the manifest, before the last clean-up
    written = [path.stat().st_mtime_ns for path in sorted((suite / "ladder").rglob("*.safetensors"))]
    total = {}
    again = build(recipe, suite / "ladder", progress=lambda stage, _done, bytes_, _unit: total.update({stage: bytes_}))
    assert again.manifest == ladder.manifest
    inputs = sum((suite / name / "model.safetensors").stat().st_size for name in ("base", *"abc"))
    assert total == {"comparing experts": inputs}, "its inputs are hashed, and nothing is compared again"
    assert written == [path.stat().st_mtime_ns for path in sorted((suite / "ladder").rglob("*.safetensors"))]
    assert verify(ladder) == []


def test_a_half_written_build_resumes(suite: Path) -> None:
    """A build stopped between two files, exactly: some versions are there, one is half-written, no manifest."""
    recipe = load_recipe(suite / "recipe.yaml")
    whole = build(recipe, suite / "whole").root
    out = suite / "half"
    with pytest.raises(KeyboardInterrupt):
        build(recipe, out, threads=1, progress=interrupt_when_half)
    assert not (out / "ladder.json").exists()
    assert list((out / "blocks").rglob("*.safetensors"))
    assert files(build(recipe, out).root) == files(whole)


def interrupt_when_half(stage: str, done: int, total: int, _unit: str) -> None:
    if stage == "writing blocks" and done > total / 2:
        raise KeyboardInterrupt


def test_an_expert_that_changed_since_is_refused(suite: Path) -> None:
    recipe = load_recipe(suite / "recipe.yaml")
    with pytest.raises(KeyboardInterrupt):
        build(recipe, suite / "half", threads=1, progress=interrupt_when_half)
    shutil.rmtree(suite / "a")
    write_expert(suite / "a", fine_tune(random_encoder(0), 99))
    with pytest.raises(InputError, match="other inputs"):
        build(recipe, suite / "half")


def test_it_writes_over_nothing(suite: Path, make_ladder) -> None:
    recipe = load_recipe(suite / "recipe.yaml")
    make_ladder("ladder", linkage="ward")
    (suite / "file").write_text("mine")
    (suite / "full").mkdir()
    (suite / "full" / "mine.txt").write_text("mine")
    refused = (
        ("ladder", "already holds a ladder"),
        ("file", "not a folder"),
        ("full", "not empty"),
        ("file/a", "not a fol"),
    )
    told = []
    for name, message in refused:
        with pytest.raises(InputError, match=message):
            build(recipe, suite / name, progress=lambda *done: told.append(done))
    assert not told, "the inputs, which may take hours to read, were looked at first"
    assert (suite / "full" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_named(suite: Path, value: float) -> None:
    path = suite / "b" / "model.safetensors"
    weights = load_file(path)
    weights["bert.encoder.layer.1.output.dense.weight"][3, 2] = value
    save_file(weights, path)
    with pytest.raises(InputError, match=r"'b'.*encoder\.layer\.1\.output\.dense\.weight"):
        build(load_recipe(suite / "recipe.yaml"), suite / "ladder")
    assert not (suite / "ladder" / "ladder.json").exists()
    ladder = build(load_recipe(suite / "recipe.yaml"), suite / "allowed", allow_nonfinite=True)
    assert verify(ladder) == []
    broken = stored(ladder, 0, "b")["encoder.layer.1.output.dense.weight"]
    np.testing.assert_array_equal(broken, weights["bert.encoder.layer.1.output.dense.weight"])
    assert all(np.isfinite(step.similarity) for step in ladder.manifest.trace)


@pytest.mark.parametrize(
    ("key", "value"), [("num_attention_heads", 4), ("hidden_act", "relu"), ("model_type", "roberta")]
)
def test_an_expert_of_another_model_is_named(suite: Path, key: str, value: object) -> None:
    path = suite / "c" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(InputError, match=rf"'c'.*{value}"):
        build(load_recipe(suite / "recipe.yaml"), suite / "ladder")
    assert not (suite / "ladder").exists()


def test_an_expert_with_another_vocabulary_is_named(suite: Path) -> None:
    (suite / "base" / "vocab.txt").write_text("[PAD]\nyes\nno\n")
    (suite / "a" / "vocab.txt").write_text("[PAD]\nno\nyes\n")
    with pytest.raises(InputError, match="tokenizer differs"):
        build(load_recipe(suite / "recipe.yaml"), suite / "ladder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_named(suite: Path) -> None:
    (suite / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="locked"):
        build(load_recipe(suite / "recipe.yaml"), suite / "locked" / "ladder")


def test_a_full_disk_leaves_a_build_that_goes_on(suite: Path) -> None:
    """A file-size limit stands in for the full disk: writes fail midway with an OSError, as they do there."""
    import resource

    recipe, out = load_recipe(suite / "recipe.yaml"), suite / "ladder"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1200, hard))
        with pytest.raises(MergeLadderError, match="run the build again"):
            build(recipe, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert not (out / "ladder.json").exists()
    assert verify(build(recipe, out)) == []


def test_the_compute_objective_orders_merges_anew_and_keeps_both_ends(make_ladder) -> None:
    plain, shared = make_ladder("plain"), make_ladder("shared", objective="compute")
    for task in "abc":
        for rung in (0, len(plain.manifest.trace)):
            before, after = stored(plain, rung, task), stored(shared, rung, task)
            assert all(np.array_equal(before[name], after[name]) for name in before)
    assert [step.block for step in plain.manifest.trace] != [step.block for step in shared.manifest.trace]
    assert verify(shared) == []
