"""Scores against transformers' own text-classification pipeline."""

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, pipeline

from merge_builder.ladder import Ladder
from merge_builder.ladder.manifest import Task
from serving.scores import probabilities, ranked


def task_like(ladder: Ladder, labels: int, kind: str | None) -> Task:
    names = tuple(f"LABEL_{n}" for n in range(labels))
    return ladder.manifest.tasks[0].model_copy(update={"labels": names, "config": {"problem_type": kind}})


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (3, None),
        (3, "single_label_classification"),
        (3, "multi_label_classification"),
        (1, None),
        (1, "regression"),
        (2, "regression"),
    ],
)
def test_scores_are_those_of_the_pipeline(pico_ladder: Ladder, labels: int, kind: str | None) -> None:
    logits = np.float32([[-2.5, 0.25, 90.0], [-9.0, 1.0, 0.5]])[:, :labels]
    config = BertConfig(num_labels=labels, problem_type=kind, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    model = BertForSequenceClassification(config)
    pipe = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(pico_ladder.base_dir))
    ours = probabilities(logits, task_like(pico_ladder, labels, kind))

    for row, scores in zip(logits, ours, strict=True):
        theirs = pipe.postprocess({"logits": torch.tensor(row[None])}, top_k=None, _legacy=False)
        assert ours.dtype == np.float32
        assert [label for label, _ in ranked(scores, tuple(model.config.id2label.values()), None)] == [
            entry["label"] for entry in theirs
        ]
        np.testing.assert_allclose(sorted(scores, reverse=True), [entry["score"] for entry in theirs], rtol=1e-6)


def test_an_extreme_logit_overflows_nothing(pico_ladder: Ladder) -> None:
    with np.errstate(over="raise", invalid="raise"):
        scores = probabilities(np.float32([[-1e4], [1e4]]), task_like(pico_ladder, 1, None))

    assert scores.tolist() == [[0.0], [1.0]]


def test_ranking_keeps_the_order_of_the_labels_where_scores_are_equal() -> None:
    scores = np.float32([0.25, 0.5, 0.25, 0.0])

    assert ranked(scores, ("a", "b", "c", "d"), 3) == [("b", 0.5), ("a", 0.25), ("c", 0.25)]
    assert len(ranked(scores, ("a", "b", "c", "d"), 9)) == 4
