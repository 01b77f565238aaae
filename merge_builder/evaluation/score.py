"""From what a runner makes of a task's rows to their score, by the kind of the task."""

import numpy as np
from numpy.typing import NDArray

from merge_builder.evaluation.answers import exact_match, overlap
from merge_builder.evaluation.bitmap import pack
from merge_builder.evaluation.bootstrap import accuracy_interval, macro_f1_interval, mean_interval, spearman_interval
from merge_builder.evaluation.data import TaskData
from merge_builder.evaluation.entities import OUTSIDE, entity_f1, has_entities
from merge_builder.evaluation.metrics import accuracy, macro_f1
from merge_builder.evaluation.ranks import pack_pairs, spearman
from merge_builder.ladder.additions import Score


def score_of(rung: int, task: str, data: TaskData, outputs: NDArray[np.float32]) -> Score:
    """The score of a task on the rung of this index; `outputs` are as `Runner` tells."""
    match data.kind:
        case "question_answering":
            return _of_answers(rung, task, data, outputs)
        case "embedding":
            return _of_vectors(rung, task, data, outputs)
        case _:
            return _of_labels(rung, task, data, outputs)


def _of_labels(rung: int, task: str, data: TaskData, logits: NDArray[np.float32]) -> Score:
    # What was not read has no logits, and no label that could be right.
    predicted = np.where(np.isnan(logits).any(axis=1), -1, np.nan_to_num(logits).argmax(axis=1))
    true = np.array(data.labels, np.int64)
    f1, f1_interval = macro_f1(predicted, true), macro_f1_interval(predicted, true)
    if has_entities(data.names):
        f1, f1_interval = entity_f1(_by_row(predicted, data), _by_row(true, data))
    return Score(
        rung=rung,
        task=task,
        rows=len(true),
        data_sha256=data.sha256,
        accuracy=accuracy(predicted, true),
        interval=accuracy_interval(predicted == true),
        macro_f1=f1,
        macro_f1_interval=f1_interval,
        right=pack(predicted == true),
    )


def _by_row(labels: NDArray[np.int64], data: TaskData) -> list[list[str]]:
    """Label ids of all words as the labels of each row's; -1 is outside of all entities."""
    ends = np.cumsum([len(row.labels) for row in data.rows])[:-1]
    names = (*data.names, OUTSIDE)
    return [[names[label] for label in own] for own in np.split(labels, ends)]


def _of_answers(rung: int, task: str, data: TaskData, spans: NDArray[np.float32]) -> Score:
    predicted = [
        (row.text_pair or "")[int(start) : int(end)] for row, (start, end) in zip(data.rows, spans, strict=True)
    ]
    right = np.array([exact_match(one, row.answers) for one, row in zip(predicted, data.rows, strict=True)])
    shared = np.array([overlap(one, row.answers) for one, row in zip(predicted, data.rows, strict=True)])
    return Score(
        rung=rung,
        task=task,
        rows=len(data.rows),
        data_sha256=data.sha256,
        metric="exact_match",
        accuracy=float(right.mean()),
        interval=accuracy_interval(right),
        macro_f1=float(shared.mean()),
        macro_f1_interval=mean_interval(shared),
        right=pack(right),
    )


def _of_vectors(rung: int, task: str, data: TaskData, vectors: NDArray[np.float32]) -> Score:
    left, right = np.moveaxis(vectors.astype(np.float64), 1, 0)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines = (left * right).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
    pairs = np.array([(cosine, row.score) for cosine, row in zip(cosines, data.rows, strict=True)], np.float32)
    return Score(
        rung=rung,
        task=task,
        rows=len(data.rows),
        data_sha256=data.sha256,
        metric="spearman",
        accuracy=spearman(pairs),
        interval=spearman_interval(pairs),
        right="",
        pairs=pack_pairs(pairs),
    )
