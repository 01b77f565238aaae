"""Rows of words through the engine against transformers' own token classifier on the same weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from deploy.runner import engine_runner
from merge_builder.build import build
from merge_builder.evaluation import evaluate, load_data
from merge_builder.export import export
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe

LABELS = ("art", "law", "sea")  # of the task `topic`
ROWS = (["w1", "w2", "w9"], ["w3"], [f"w{n}" for n in range(60)])


@pytest.fixture(scope="module")
def words_ladder(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """The suite's ladder, its task `topic` a token classifier."""
    root = tmp_path_factory.mktemp("words") / "suite"
    shutil.copytree(recipe_file.parent, root, ignore=shutil.ignore_patterns("ladder*"))
    path = root / "topic" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"architectures": ["BertForTokenClassification"]}))
    return build(load_recipe(root / recipe_file.name), root / "ladder", threads=1)


def test_words_have_the_logits_of_their_tokens_and_what_was_cut_off_none(words_ladder: Ladder, tmp_path: Path) -> None:
    data = tmp_path / "topic.jsonl"
    data.write_text("\n".join(json.dumps({"words": words, "labels": ["law"] * len(words)}) for words in ROWS))
    (tmp_path / "data.yaml").write_text("tasks: {topic: topic.jsonl}")
    rows = load_data(tmp_path / "data.yaml", words_ladder)
    last = words_ladder.manifest.rungs[-1]
    got = engine_runner(words_ladder)(last, "topic", rows["topic"].rows)

    export(words_ladder, "topic", last, tmp_path / "topic")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "topic")
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "topic").eval()
    expected = []
    for words in ROWS:
        ids = tokenizer(words, is_split_into_words=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            read = model(**ids).logits[0, 1:-1].numpy()  # a token a word, between two special ones
        expected += [*read, *np.full((len(words) - len(read), 3), np.nan)]
    assert np.isnan(got).any(axis=1).sum() == 60 - 46
    np.testing.assert_allclose(got, expected, atol=1e-5)

    [score] = evaluate(words_ladder, [last], rows, engine_runner(words_ladder))
    right = [not np.isnan(one).any() and LABELS[one.argmax()] == "law" for one in expected]
    assert (score.rows, score.accuracy) == (64, pytest.approx(np.mean(right)))
