"""Experts that are folders of sentence-transformers, and experts without a head."""

import json
from pathlib import Path
from typing import Any

import pytest

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import Ladder, kind_of, select
from merge_builder.ladder.manifest import Embedding
from merge_builder.ladder.store import MANIFEST, open_ladder
from merge_builder.recipe import load_recipe
from merge_builder.sentence_transformers import read_embedding

OLD = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
MEAN = Embedding(pooling="mean", normalise=True)


def make_folder(path: Path, types: tuple[str, ...] = ("Transformer", "Pooling", "Normalize"), **pooling: Any) -> Path:
    (path / "1_Pooling").mkdir(parents=True)
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize", "Dense": "2_Dense"}
    modules = [{"path": paths[name], "type": f"sentence_transformers.models.{name}"} for name in types]
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 8} | (pooling or OLD)))
    return path


def as_sentence_transformers(folder: Path, **keys: Any) -> None:
    """Turn the expert in `folder` into one."""
    make_folder(folder, **keys)
    config = json.loads((folder / "config.json").read_text()) | {"architectures": ["BertModel"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12, "do_lower_case": false}')


def build_it(suite: Path) -> Ladder:
    return build(load_recipe(suite / "recipe.yaml"), suite / "ladder")


@pytest.mark.parametrize(
    ("pooling", "types", "expected"),
    [
        (OLD, ("Transformer", "Pooling", "Normalize"), MEAN),
        (OLD | {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, ("Transformer", "Pooling"), "cls"),
        ({"pooling_mode": "cls"}, ("Transformer", "Pooling"), "cls"),
        ({}, ("Transformer",), "mean"),
    ],
)
def test_what_a_folder_tells(tmp_path: Path, pooling: dict[str, Any], types: tuple[str, ...], expected: Any) -> None:
    embedding, files = read_embedding(make_folder(tmp_path / "one", types, **pooling))
    assert embedding == (Embedding(pooling=expected, normalise=False) if isinstance(expected, str) else expected)
    assert files == ("modules.json", "1_Pooling/config.json")[: 1 + ("Pooling" in types)]
    assert read_embedding(tmp_path) == (None, ())


@pytest.mark.parametrize(
    ("pooling", "types", "told"),
    [
        (OLD, ("Transformer", "Pooling", "Dense"), "has a module Dense, which is not served"),
        (OLD | {"pooling_mode_max_tokens": True}, ("Transformer", "Pooling"), "asks for the pooling .*mean.*max"),
        ({"pooling_mode": "lasttoken"}, ("Transformer", "Pooling"), "asks for the pooling lasttoken"),
    ],
)
def test_more_than_that_is_refused(tmp_path: Path, pooling: dict[str, Any], types: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_embedding(make_folder(tmp_path / "one", types, **pooling))


def test_a_ladder_keeps_how_an_expert_pools_and_an_export_tells_it_again(suite: Path) -> None:
    as_sentence_transformers(suite / "b")
    ladder = build_it(suite)
    tasks = {task.name: task for task in open_ladder(ladder.root).manifest.tasks}

    assert (kind_of(tasks["b"]), tasks["b"].embedding, tasks["b"].labels) == ("embedding", MEAN, ())
    assert (tasks["b"].max_length, tasks["a"].max_length) == (12, 16)
    assert (kind_of(tasks["a"]), tasks["a"].embedding) == ("classification", None)
    assert set(ladder.manifest.provenance.experts["b"].files) >= {"modules.json", "1_Pooling/config.json"}
    for rung in ("#0", "1"):
        export(ladder, "b", select(ladder.manifest, rung), suite / rung)
        assert read_embedding(suite / rung) == (MEAN, ("modules.json", "1_Pooling/config.json"))
        assert json.loads((suite / rung / "1_Pooling" / "config.json").read_text())["word_embedding_dimension"] == 8
        assert json.loads((suite / rung / "sentence_bert_config.json").read_text())["max_seq_length"] == 12
    export(ladder, "a", select(ladder.manifest, "#0"), suite / "plain")
    assert not (suite / "plain" / "modules.json").exists()


def test_another_pooling_is_another_ladder(suite: Path) -> None:
    as_sentence_transformers(suite / "b")
    build_it(suite)
    (suite / "b" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    with pytest.raises(InputError, match="other inputs"):
        build_it(suite)


def test_a_classifier_stays_one_whatever_else_its_folder_holds(suite: Path) -> None:
    make_folder(suite / "b", ("Transformer", "Pooling", "Dense"))
    task = build_it(suite).manifest.tasks[1]
    assert (kind_of(task), task.embedding, len(task.labels)) == ("classification", None, 3)


def test_the_manifest_of_classifiers_is_as_it_was(suite: Path) -> None:
    assert '"embedding"' not in (build_it(suite).root / MANIFEST).read_text()
