import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoTokenizer, BertForSequenceClassification

import deploy.runner
from merge_builder.evaluation import Row, Runner
from merge_builder.ladder import Ladder, RungSize, open_ladder

ROWS = 24


@pytest.fixture
def own(ladder: Ladder, tmp_path: Path) -> Ladder:
    """A copy of the ladder that a test may write scores into."""
    return open_ladder(shutil.copytree(ladder.root, tmp_path / "ladder"))


@pytest.fixture
def data(ladder: Ladder, recipe_file: Path, tmp_path: Path) -> Path:
    """Rows of which transformers' own model of each expert gets exactly three in four right."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 95, rng.integers(1, 12))) for _ in range(ROWS)]
    for task in ladder.manifest.tasks:
        folder = recipe_file.parent / task.name
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = BertForSequenceClassification.from_pretrained(folder).eval()
        with torch.inference_mode():
            predicted = [int(model(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in texts]
        labels = [task.labels[(best + (i % 4 == 0)) % len(task.labels)] for i, best in enumerate(predicted)]
        rows = [json.dumps({"text": text, "label": label}) for text, label in zip(texts, labels, strict=True)]
        (tmp_path / f"{task.name}.jsonl").write_text("\n".join(rows))
    path = tmp_path / "data.yaml"
    path.write_text(yaml.safe_dump({"tasks": {task.name: f"{task.name}.jsonl" for task in ladder.manifest.tasks}}))
    return path


def test_the_experts_score_as_transformers_says_and_all_is_kept(mergeladder, own, data, tmp_path):
    told = mergeladder("evaluate", own.root, "--data", data, "--rungs", "1,2", "--json", tmp_path / "out.json")
    assert (told.code, told.out) == (0, "")
    document = json.loads((tmp_path / "out.json").read_text())
    last = len(own.manifest.rungs) - 1
    assert {score["rung"] for score in document["scores"]} >= {0, last}
    assert [score["accuracy"] for score in document["scores"] if score["rung"] == 0] == [0.75] * 3
    assert (document["summary"][-1]["rung"], document["summary"][-1]["mean"]) == (0, 1.0)
    kept = open_ladder(own.root).manifest.scores
    assert [score.model_dump(mode="json", exclude={"right"}) for score in kept] == document["scores"]


def test_8_bit_weights_are_scored_beside_and_told_by_the_experts_as_they_are(mergeladder, own, data):
    told = mergeladder("evaluate", own.root, "--data", data, "--rungs", "1", "--dtype", "int8", "--json", "-")
    kept = open_ladder(own.root).manifest
    assert told.document["dtype"] == "int8"
    assert [s.model_dump(mode="json", exclude={"right"}) for s in kept.int8_scores] == told.document["scores"]
    assert {score.rung for score in kept.int8_scores} == {0, len(own.manifest.rungs) - 1}
    assert [score.accuracy for score in kept.scores] == [0.75] * 3  # the experts', in float32
    experts = {score.task: score.accuracy for score in kept.int8_scores if score.rung == 0}
    assert told.document["summary"][-1]["mean"] == pytest.approx(np.mean([a / 0.75 for a in experts.values()]))


def test_people_see_tasks_by_rungs_and_json_goes_to_stdout(mergeladder, own, data):
    told = mergeladder("evaluate", own.root, "--data", data, "--rungs", "1", "--json", "-")
    assert told.document["ladder"] == "ladder"
    lines = {line.split("  ")[0]: line.split() for line in told.err.splitlines() if "  " in line}
    assert lines["accuracy, %"][-2:] == ["1.00x", "3.00x"]
    small = told.document["summary"][0]
    accuracy = {s["task"]: s["accuracy"] for s in told.document["scores"] if s["rung"] == small["rung"]}
    for task in ("mood", "topic", "intent"):
        assert lines[task][-2:] == [f"{100 * accuracy[task]:.1f}", "75.0"]
    assert lines["mean, % of experts'"][-2:] == [f"{100 * small['mean']:.1f}", "100.0"]


def test_all_sizes_are_the_default_and_what_is_known_is_not_run_again(mergeladder, own, data, monkeypatch):
    first = mergeladder("evaluate", own.root, "--data", data, "--json", "-").document
    ratios = [rung["ratio"] for rung in first["summary"]]
    assert (ratios[0], ratios[-1], len(ratios)) == (1.0, 3.0, 5)
    monkeypatch.setattr(deploy.runner, "engine_runner", lambda *_, **__: _forbidden)
    assert mergeladder("evaluate", own.root, "--data", data, "--json", "-").document == first


def _forbidden(rung: RungSize, task: str, _rows: Sequence[Row]) -> np.ndarray:
    raise AssertionError(f"{task} was run again at rung #{rung.index}")


def test_ctrl_c_keeps_what_is_done(mergeladder, own, data, monkeypatch):
    real = deploy.runner.engine_runner
    calls: list[tuple[int, str]] = []

    def interrupted(ladder: Ladder, **options: str) -> Runner:
        run = real(ladder, **options)

        def once(rung: RungSize, task: str, rows: Sequence[Row]) -> np.ndarray:
            if calls:
                raise KeyboardInterrupt
            calls.append((rung.index, task))
            return run(rung, task, rows)

        return once

    monkeypatch.setattr(deploy.runner, "engine_runner", interrupted)
    told = mergeladder("evaluate", own.root, "--data", data, "--rungs", "1")
    assert told.code == 1
    assert "kept" in told.err
    assert [(score.rung, score.task) for score in open_ladder(own.root).manifest.scores] == calls


def test_a_rung_the_ladder_lacks_is_exit_code_2(mergeladder, own, data):
    failed = mergeladder("evaluate", own.root, "--data", data, "--rungs", "1,huge")
    assert failed.code == 2
    assert "huge" in failed.err
