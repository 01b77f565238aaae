import json

import numpy as np
import pytest
import torch
import yaml
from transformers import BertForSequenceClassification

import deploy.bench
from deploy.runner import engine_runner
from merge_builder.evaluation import Row
from merge_builder.ladder import open_ladder

from ...conftest import LABELS


@pytest.fixture
def data(ladder, tmp_path):
    """Rows that each expert gets right, but for one in four."""
    rng, run = np.random.default_rng(0), engine_runner(ladder)
    rows = [
        Row(text=" ".join(f"w{word}" for word in rng.integers(0, 95, rng.integers(3, 12))), label="?")
        for _ in range(40)
    ]
    for task in ladder.manifest.tasks:
        best = run(ladder.manifest.rungs[0], task.name, rows).argmax(axis=1)
        labels = [task.labels[(own + (i % 4 == 0)) % len(task.labels)] for i, own in enumerate(best)]
        lines = [json.dumps({"text": row.text, "label": label}) for row, label in zip(rows, labels, strict=True)]
        (tmp_path / f"{task.name}.jsonl").write_text("\n".join(lines))
    path = tmp_path / "data.yaml"
    path.write_text(yaml.safe_dump({"tasks": {task.name: f"{task.name}.jsonl" for task in ladder.manifest.tasks}}))
    return path


@pytest.mark.parametrize("tuner", ["df-merge", "automerge"])
def test_a_tuned_ladder_is_verified_and_evaluated_like_any_other(
    mergeladder, recipe_file, data, tmp_path, tuner
) -> None:
    out = tmp_path / "tuned"
    told = mergeladder(
        *("tune", recipe_file, "--data", data, "--tuner", tuner, "--rung", "1"),
        *("--trials", 5, "--rows", 18, "--json", out),
    )
    assert told.code == 0
    (own,) = told.document["rungs"]
    assert own["published"] == (own["found"]["mean"] > own["untuned"]["mean"] and own["sure"] >= 0.9)
    assert len(open_ladder(out).manifest.tuned) == own["published"]
    assert "best so far" in told.err
    assert "min left" in told.err
    assert ("tuned" if own["published"] else "stays untuned") in told.err
    assert mergeladder("verify", out).code == 0
    assert mergeladder("evaluate", out, "--data", data, "--rungs", "1", "--json", "-").code == 0


def test_a_depth_that_is_better_is_evaluated_and_exported(mergeladder, recipe_file, data, tmp_path) -> None:
    """Of a recipe that any expert does better than."""
    recipe = yaml.safe_load(recipe_file.read_text()) | {"method": {"name": "task_arithmetic", "scale": 60.0}}
    recipe["base"] = str(recipe_file.parent / recipe["base"])
    for own in recipe["tasks"].values():
        own["model"] = str(recipe_file.parent / own["model"])
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "stacked"
    told = mergeladder(
        *("tune", tmp_path / "bad.yaml", "--data", data, "--tuner", "depth"),
        *("--trials", 6, "--rows", 18, "--json", out),
    )
    assert told.code == 0
    (own,) = told.document["rungs"]
    assert own["published"]
    assert mergeladder("verify", out).code == 0
    assert "one shared model" in mergeladder("inspect", out).err
    scores = mergeladder("evaluate", out, "--data", data, "--json", "-").document
    assert mergeladder("export", out, "--task", "mood", "--rung", "1", tmp_path / "mood").code == 0
    assert "depth-wise integration" in (tmp_path / "mood" / "README.md").read_text()
    model = BertForSequenceClassification.from_pretrained(tmp_path / "mood").eval()
    assert model.config.num_hidden_layers == len(own["parameters"]["layers"])
    rows = [json.loads(line) for line in (data.parent / "mood.jsonl").read_text().splitlines()]
    right = 0
    for row in rows:
        ids = [2, *(5 + int(word[1:]) for word in row["text"].split()), 3]
        right += LABELS["mood"][model(torch.tensor([ids])).logits[0].argmax()] == row["label"]
    assert [s["accuracy"] for s in scores["scores"] if s["task"] == "mood"] == [pytest.approx(right / len(rows))]


def test_ctrl_c_keeps_what_was_found_and_the_same_command_goes_on(
    mergeladder, recipe_file, data, tmp_path, monkeypatch
) -> None:
    command = ("tune", recipe_file, "--data", data, "--tuner", "df-merge", "--rung", "1", "--trials", 3, "--rows", 9)
    whole = mergeladder(*command, "--json", tmp_path / "whole").document
    real, calls = deploy.bench.runner_of, []

    def interrupted(engine):
        run = real(engine)

        def counted(rung, task, rows):
            calls.append(task)
            if len(calls) == 10:
                raise KeyboardInterrupt
            return run(rung, task, rows)

        return counted

    monkeypatch.setattr(deploy.bench, "runner_of", interrupted)
    told = mergeladder(*command, tmp_path / "out")
    assert told.code == 1
    assert "kept in" in told.err
    assert not (tmp_path / "out").exists()
    rest = mergeladder(*command, "--json", tmp_path / "out").document
    for key in ("parameters", "untuned", "found", "published"):
        assert rest["rungs"][0][key] == whole["rungs"][0][key]


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"--rung": "9x9"}, "9x9"),
        ({"--tuner": "magic"}, "magic"),
        ({"--data": "none.yaml"}, "none.yaml"),
        ({"--ray": "head:6379"}, "--workers"),
    ],
)
def test_bad_usage_is_exit_code_2(mergeladder, recipe_file, data, tmp_path, change, hint) -> None:
    options = {"--data": data, "--tuner": "df-merge", "--rung": "1"} | change
    failed = mergeladder("tune", recipe_file, *(part for pair in options.items() for part in pair), tmp_path / "out")
    assert failed.code == 2
    assert hint in failed.err
