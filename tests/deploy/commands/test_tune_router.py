import json

import numpy as np
import pytest
import yaml

from merge_builder.ladder import open_ladder
from merge_builder.ladder.router import load_router


@pytest.fixture
def write_rows(ladder, tmp_path):
    """`write_rows(apart)`: a data file of texts, each task's of words of its own, or all of the same words."""

    def write(apart: bool):
        rng = np.random.default_rng(0)
        for number, task in enumerate(ladder.manifest.tasks):
            words = np.arange(30) + 30 * number * apart
            texts = [" ".join(f"w{word}" for word in rng.choice(words, 8)) for _ in range(50)]
            lines = [json.dumps({"text": text, "label": task.labels[0]}) for text in texts]
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
