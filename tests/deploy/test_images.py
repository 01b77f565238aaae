"""Ladders of images from the command line: rows evaluated, workspace measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from deploy import runner
from deploy.runner import engine_runner
from deploy.workspace import measure_workspace
from merge_builder.errors import InputError
from merge_builder.evaluation import Row
from merge_builder.ladder import Ladder, rung_at
from serving.engine.engine import load_engine

from ..images import LABELS, build_ladder, picture, processor, transformers_answers

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")


@pytest.fixture(scope="session")
def image_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    return build_ladder(tmp_path_factory.mktemp("images"))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{n}.{FORMATS[n % 5].lower()}" for n in range(11)]
    for n, path in enumerate(paths):
        path.write_bytes(picture(n, FORMATS[n % 5], size=(40 + n, 30)))
    return paths


def test_logits_are_those_of_transformers(
    image_ladder: Ladder, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BATCH_TOKENS", 60)  # two images a batch
    run = engine_runner(image_ladder)
    for index in (0, len(image_ladder.manifest.rungs) - 1):
        ask = transformers_answers(image_ladder, index, tmp_path / f"{index}")
        logits = run(image_ladder.manifest.rungs[index], "hue", [Row(image=path, label="red") for path in images])
        np.testing.assert_allclose(logits, [ask("hue", path.read_bytes()) for path in images], atol=1e-5)


def test_each_task_is_evaluated_by_its_own_processor(images: list[Path], tmp_path: Path) -> None:
    ladder = build_ladder(tmp_path, {"hue": processor(12)})
    run, ask = engine_runner(ladder), transformers_answers(ladder, 0, tmp_path / "exported")
    for task in ("hue", "size"):
        logits = run(ladder.manifest.rungs[0], task, [Row(image=path, label="red") for path in images])
        np.testing.assert_allclose(logits, [ask(task, path.read_bytes()) for path in images], atol=1e-5)


def test_mergeladder_evaluate_reads_images(
    mergeladder, image_ladder: Ladder, images: list[Path], tmp_path: Path
) -> None:
    ask = transformers_answers(image_ladder, 0, tmp_path / "exported")
    names = [LABELS["size"][np.argmax(ask("size", path.read_bytes()))] for path in images]
    names[3] = LABELS["size"][(LABELS["size"].index(names[3]) + 1) % 4]  # one that the expert gets wrong
    rows = [json.dumps({"image": path.name, "label": name}) for path, name in zip(images, names, strict=True)]
    (tmp_path / "size.jsonl").write_text("\n".join(rows))
    (tmp_path / "data.yaml").write_text("tasks: {size: size.jsonl}")
    told = mergeladder("evaluate", image_ladder.root, "--data", tmp_path / "data.yaml", "--rungs", "#0", "--json", "-")

    assert told.code == 0, told.err
    [score] = told.document["scores"]
    assert (score["task"], score["rows"], score["accuracy"]) == ("size", 11, pytest.approx(10 / 11))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (Row(text="a text", label="red"), "'hue' takes images, and its row 1 is a text"),
        (Row(image=Path(__file__), label="red"), "test_images.py is no image file"),
        (Row(image=Path("nowhere.png"), label="red"), "cannot be read: .*nowhere.png"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(image_ladder: Ladder, row: Row, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        engine_runner(image_ladder)(image_ladder.manifest.rungs[-1], "hue", [row])


def test_an_image_is_no_row_of_texts(ladder: Ladder) -> None:
    with pytest.raises(InputError, match="'topic' takes texts"):
        engine_runner(ladder)(ladder.manifest.rungs[-1], "topic", [Row(image=Path("a.png"), label="x")])


def test_the_workspace_is_that_of_images(image_ladder: Ladder) -> None:
    engine = load_engine(image_ladder, rung_at(image_ladder.manifest, 0))
    assert measure_workspace(engine, 4096) > 0
