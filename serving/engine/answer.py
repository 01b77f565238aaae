"""From what leaves the encoder to every task's answer: read, pooled, and through the task's own head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from serving.engine.forward import starts_of, tokens_of
from serving.engine.heads.head import Head
from serving.engine.heads.reading import Reading
from serving.engine.layout import StageLayout
from serving.engine.packing import to_device
from serving.engine.plan import StagePlan, plan_pool
from serving.engine.skeleton import Skeleton
from serving.engine.types import Logits


@dataclass(frozen=True)
class TaskHead:
    """One task's head and its own tensors."""

    head: Head
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class _Part:
    """One task's outputs, (rows, outputs): `rows` are the (input, number of rows) they belong to.

    `single`: an input has one row, and its answer is that row.
    """

    task: str
    scores: Tensor
    rows: Sequence[tuple[int, int]]
    single: bool


def answer(
    skeleton: Skeleton, heads: Mapping[str, TaskHead], pooler: StageLayout, tail: StagePlan, left: Tensor, inputs: int
) -> tuple[dict[str, Logits], ...]:
    """Every input's answers by task, from what `forward` left; brought to the host in one copy."""
    asked = dict.fromkeys(task for row in tail.rows for task in row.tasks)
    pooled = {task: reading for task in asked if (reading := heads[task].head.reading) and heads[task].head.pooled}
    parts = _pooled(skeleton, heads, plan_pool(pooler, tail, pooled), tail, left) if pooled else []
    parts += [_direct(task, heads[task], tail, left) for task in asked if task not in pooled]
    return _to_host(parts, inputs)


def _pooled(
    skeleton: Skeleton, heads: Mapping[str, TaskHead], pool: StagePlan, tail: StagePlan, left: Tensor
) -> list[_Part]:
    """The tasks whose heads stand behind the family's pooler: all of them through it together."""
    assert pool.source is not None
    rows = _read([heads[row.tasks[0]].head.reading for row in pool.rows], pool.source, tail, left)
    skeleton.route.runs = pool.runs
    features = skeleton.family.pool(skeleton.model, rows.unsqueeze(0))[0]
    rows_of: dict[str, list[int]] = {}
    for number, row in enumerate(pool.rows):
        for task in row.tasks:
            rows_of.setdefault(task, []).append(number)
    return [
        _Part(
            task,
            heads[task].head.apply(heads[task].tensors, features[to_device(features.device, np.array(own))]),
            [(pool.rows[number].text, 1) for number in own],
            single=True,
        )
        for task, own in rows_of.items()
    ]


def _direct(task: str, own: TaskHead, tail: StagePlan, left: Tensor) -> _Part:
    """A task whose head stands right behind the tail."""
    numbers = [number for number, row in enumerate(tail.rows) if task in row.tasks]
    texts = [tail.rows[number].text for number in numbers]
    if own.head.reading is not None:
        features = _read([own.head.reading] * len(numbers), numbers, tail, left)
        return _Part(task, own.head.apply(own.tensors, features), [(text, 1) for text in texts], single=True)
    lengths = [tail.rows[number].length for number in numbers]
    index = to_device(left.device, tokens_of(starts_of(tail.rows)[numbers], lengths))
    scores = own.head.apply(own.tensors, left.index_select(0, index))
    return _Part(task, scores, list(zip(texts, lengths, strict=True)), single=False)


def _read(readings: Sequence[Reading | None], rows: Sequence[int], tail: StagePlan, left: Tensor) -> Tensor:
    """(rows, features): what `readings[i]` makes of the tail's row `rows[i]`."""
    starts, lengths = starts_of(tail.rows), np.array([row.length for row in tail.rows])
    out: Tensor | None = None
    for reading in dict.fromkeys(readings):
        assert reading is not None
        places = [place for place, own in enumerate(readings) if own is reading]
        of = [rows[place] for place in places]
        read = reading.read(left, to_device(left.device, starts[of]), to_device(left.device, lengths[of]))
        if len(places) == len(rows):
            return read
        out = read.new_empty(len(rows), read.shape[1]) if out is None else out
        out[to_device(left.device, np.array(places))] = read
    assert out is not None
    return out


def _to_host(parts: Sequence[_Part], inputs: int) -> tuple[dict[str, Logits], ...]:
    flat = torch.cat([part.scores.flatten() for part in parts]).cpu()
    answers: tuple[dict[str, Logits], ...] = tuple({} for _ in range(inputs))
    for part, values in zip(parts, torch.split(flat, [part.scores.numel() for part in parts]), strict=True):
        scores = values.view(part.scores.shape).numpy()
        start = 0
        for text, count in part.rows:
            answers[text][part.task] = scores[start] if part.single else scores[start : start + count]
            start += count
    return answers
