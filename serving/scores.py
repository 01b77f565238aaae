"""From logits to what people read: probabilities, and labels in order of their score."""

import numpy as np

from merge_builder.ladder.manifest import Task
from serving.engine.types import Logits


def probabilities(logits: Logits, task: Task) -> Logits:
    """Scores of the same shape, (N, labels), float32, by the task's kind as transformers' pipelines read it.

    Softmax over the labels; a sigmoid of each where several labels may hold, or where there is only one; the logits
    themselves for a regression.
    """
    kind = task.config.get("problem_type")
    if kind == "regression":
        return logits
    if kind == "multi_label_classification" or len(task.labels) == 1:
        return np.asarray(np.exp(-np.logaddexp(0, -logits)), np.float32)  # the sigmoid, without overflow
    return softmax(logits)


def softmax(logits: Logits) -> Logits:
    """Probabilities along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)


def ranked(scores: Logits, labels: tuple[str, ...], top_k: int | None) -> list[tuple[str, float]]:
    """One input's `scores`, shape (labels,), as (label, score) pairs from the best down; ties in the labels' order."""
    values = scores.tolist()
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    return [(labels[i], values[i]) for i in order[:top_k]]
