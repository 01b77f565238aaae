import json

import numpy as np
import pytest
import yaml

from deploy.runner import engine_runner
from merge_builder.build import build
from merge_builder.evaluation import Row
from merge_builder.ladder import open_ladder
from merge_builder.ladder.router import load_router
from merge_builder.recipe import load_recipe
from merge_builder.tuning.depth.ladder import write_stack
from merge_builder.tuning.depth.sources import open_sources
from merge_builder.tuning.depth.stack import whole
from merge_builder.tuning.material import open_material


@pytest.fixture
def write_rows(ladder, tmp_path):
    """`write_rows(apart)`: a data file of texts, each task's of words of its own, or all of the same words.

    Their labels are what the ladder's 1x model answers.
    """

    def write(apart: bool):
        rng, run = np.random.default_rng(0), engine_runner(ladder)
        for number, task in enumerate(ladder.manifest.tasks):
            words = np.arange(30) + 30 * number * apart
            texts = [" ".join(f"w{word}" for word in rng.choice(words, 8)) for _ in range(50)]
            logits = run(ladder.manifest.rungs[-1], task.name, [Row(text=text, label="?") for text in texts])
            labels = [task.labels[best] for best in logits.argmax(axis=1)]
            lines = [json.dumps({"text": text, "label": own}) for text, own in zip(texts, labels, strict=True)]
            (tmp_path / f"{task.name}.jsonl").write_text("\n".join(lines))
        path = tmp_path / "data.yaml"
        path.write_text(yaml.safe_dump({"tasks": {task.name: f"{task.name}.jsonl" for task in ladder.manifest.tasks}}))
        return path

    return write


def test_a_router_is_part_of_its_ladder(mergeladder, recipe_file, ladder, write_rows, tmp_path) -> None:
    data, out = write_rows(apart=True), tmp_path / "routed"
    told = mergeladder("tune", recipe_file, "--data", data, "--tuner", "neulig", "--json", out)
    assert told.code == 0
    assert told.document["published"]
    assert told.document["interval"][0] <= told.document["accuracy"] <= told.document["interval"][1]
    count = len(ladder.manifest.tasks)
    assert (told.document["rows"], told.document["held_out_rows"]) == (30 * count, 20 * count)
    assert "router published" in told.err

    routed = open_ladder(out)
    entry, router = routed.manifest.router, load_router(routed)
    assert entry.accuracy == told.document["accuracy"]
    assert entry.bytes == router.nbytes == router.tokens.nbytes + router.bias.nbytes
    assert [rung.bytes - entry.bytes for rung in routed.manifest.rungs] == [r.bytes for r in ladder.manifest.rungs]
    assert routed.manifest.revision != ladder.manifest.revision
    assert routed.manifest.versions == ladder.manifest.versions
    assert mergeladder("verify", out).code == 0
    assert mergeladder("inspect", out, "--json").document["router"]["accuracy"] == entry.accuracy
    assert "a router chooses the task" in mergeladder("inspect", out).err
    assert "router" not in mergeladder("inspect", ladder.root, "--json").document

    broken = bytearray(routed.router_path.read_bytes())
    broken[-1] ^= 1
    routed.router_path.write_bytes(broken)
    told = mergeladder("verify", out)
    assert told.code == 1
    assert "router.safetensors" in told.err


def test_the_same_seed_gives_the_same_ladder(mergeladder, recipe_file, write_rows, tmp_path) -> None:
    data = write_rows(apart=True)
    files = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        mergeladder("tune", recipe_file, "--data", data, "--tuner", "neulig", "--seed", seed, tmp_path / name)
        files.append([(tmp_path / name / file).read_bytes() for file in ("ladder.json", "router.safetensors")])
    assert files[0] == files[1]
    assert files[0][1] != files[2][1]


def test_a_router_that_cannot_tell_tasks_apart_is_not_published(
    mergeladder, recipe_file, ladder, write_rows, tmp_path
) -> None:
    out = tmp_path / "plain"
    told = mergeladder("tune", recipe_file, "--data", write_rows(apart=False), "--tuner", "neulig", "--json", out)
    assert told.code == 0
    assert not told.document["published"]
    assert "not far enough above chance" in told.err
    assert open_ladder(out).manifest == ladder.manifest
    assert mergeladder("verify", out).code == 0


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_tuned_ladder_is_given_a_router_and_keeps_all_else(mergeladder, recipe_file, write_rows, tmp_path) -> None:
    """Of a recipe that nearly any other merge does better than."""
    recipe, data = yaml.safe_load(recipe_file.read_text()), write_rows(apart=True)
    recipe["base"] = str(recipe_file.parent / recipe["base"])
    recipe["tasks"] = {task: {"model": str(recipe_file.parent / own["model"])} for task, own in recipe["tasks"].items()}
    recipe["method"] = {"name": "task_arithmetic", "scale": 60.0}
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(recipe))
    tuned, routed, again = (tmp_path / name for name in ("tuned", "routed", "again"))
    search = ("--tuner", "automerge", "--rung", "1", "--trials", 4, "--rows", 18)
    assert mergeladder("tune", tmp_path / "bad.yaml", "--data", data, *search, tuned).code == 0
    before = files_of(tuned)
    told = mergeladder("tune", tuned, "--data", data, "--tuner", "neulig", "--json", routed)
    assert told.code == 0
    assert told.document["published"]

    first, second = open_ladder(tuned).manifest, open_ladder(routed).manifest
    assert len(first.tuned) == 1
    assert (second.tuned, second.versions, second.tasks) == (first.tuned, first.versions, first.tasks)
    assert [rung.bytes - second.router.bytes for rung in second.rungs] == [rung.bytes for rung in first.rungs]
    changed = {path.name for path, content in files_of(routed).items() if before.get(path) != content}
    assert changed == {"ladder.json", "router.safetensors", "README.md"}
    assert "| automerge |" in (routed / "README.md").read_text()
    assert mergeladder("verify", routed).code == 0

    kept = files_of(routed)
    told = mergeladder("tune", routed, "--data", data, "--tuner", "neulig", "--seed", 1, "--json", again)
    assert told.document["published"]
    third = open_ladder(again).manifest
    assert third.router != second.router
    assert third.rungs == second.rungs  # one router's bytes, not two
    assert mergeladder("verify", again).code == 0
    assert (files_of(tuned), files_of(routed)) == (before, kept)


def test_a_ladder_of_one_stack_is_given_a_router_and_keeps_its_card(
    mergeladder, recipe_file, write_rows, tmp_path
) -> None:
    recipe = load_recipe(recipe_file)
    untuned = build(recipe, tmp_path / "untuned", threads=1)
    with open_material(recipe, untuned) as material, open_sources(material) as sources:
        stacked = write_stack(sources, whole("mood", 2), tmp_path / "stacked")
    data, out = write_rows(apart=True), tmp_path / "routed"
    assert mergeladder("tune", stacked.root, "--data", data, "--tuner", "neulig", out).code == 0
    assert open_ladder(out).manifest.router is not None
    assert (out / "README.md").read_bytes() == (stacked.root / "README.md").read_bytes()
    assert mergeladder("verify", out).code == 0


def test_what_is_no_place_for_a_routed_ladder_is_refused(mergeladder, ladder, write_rows, tmp_path) -> None:
    data = write_rows(apart=True)
    for tuner, source, out, hint in (
        ("neulig", ladder.root, ladder.root / "routed", "is within the ladder"),
        ("neulig", ladder.root, ladder.root, "exists already"),
        ("neulig", tmp_path, tmp_path / "routed", "is not a ladder"),
        ("automerge", ladder.root, tmp_path / "routed", "starts from a recipe"),
    ):
        told = mergeladder("tune", source, "--data", data, "--tuner", tuner, out)
        assert told.code == 2
        assert hint in told.err.replace("\n", " ")
        assert not (ladder.root / "routed").exists()


def test_every_task_needs_rows(mergeladder, recipe_file, write_rows, tmp_path) -> None:
    data = write_rows(apart=True)
    document = yaml.safe_load(data.read_text())
    name, file = document["tasks"].popitem()
    data.write_text(yaml.safe_dump(document))
    told = mergeladder("tune", recipe_file, "--data", data, "--tuner", "neulig", tmp_path / "out")
    assert told.code == 2
    assert f"no rows for task {name!r}" in told.err
    rows = (data.parent / file).read_text().splitlines()
    (data.parent / file).write_text("\n".join(rows[:9]))
    data.write_text(yaml.safe_dump({"tasks": document["tasks"] | {name: file}}))
    told = mergeladder("tune", recipe_file, "--data", data, "--tuner", "neulig", tmp_path / "out")
    assert told.code == 2
    assert f"task {name!r} has 9 rows" in told.err
