"""What the service answers to one request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tokenizers

from merge_builder.ladder import Rung
from serving.encoding import Row
from serving.engine.types import Logits
from serving.job import Answer
from serving.routing import Route


@dataclass(frozen=True)
class Timings:
    """Seconds of one request. `queue` and `inference` are those of its input that was answered last."""

    queue: float
    tokenize: float
    inference: float
    total: float


@dataclass(frozen=True)
class Window:
    """What a task made of a stretch of a text: `logits`, float32 of shape (tokens, labels).

    `aligned` tells where each token comes from (None: the client sent tokens); `truncated` counts those cut off behind.
    """

    logits: Logits
    aligned: tokenizers.Encoding | None
    truncated: int


@dataclass(frozen=True)
class Result:
    """One request's answer, all of it computed by `rung`.

    `logits[task]` is float32 of shape (N, labels of the task), for the N inputs that the task was asked of, and
    `places[task]` are their places in the request: all, unless inputs named tasks of their own. Of a task that reads
    every token, `windows[task]` has what it made of the N inputs: of each, one or more windows. `tokens` counts a text
    once for all tasks that get the same tokens; `truncated` counts the tokens that were cut off. `routes` tells, by
    their places, where the router gave the inputs that named no task.
    """

    logits: dict[str, Logits]
    windows: dict[str, tuple[tuple[Window, ...], ...]]
    places: dict[str, tuple[int, ...]]
    rung: Rung
    tokens: int
    truncated: int
    timings: Timings
    routes: Mapping[int, Route]


def make_result(
    rows: Sequence[Row],
    answers: Sequence[Answer],
    tasks: Sequence[Sequence[str]],
    *,
    tokenize: float,
    total: float,
    first: int = 0,
    routes: Mapping[int, Route] | None = None,
) -> Result:
    """The result for the inputs from the place `first` on, whose tasks are `tasks`; `answers` are those of `rows`."""
    found: dict[tuple[int, str], list[Window]] = {}
    for row, answer in zip(rows, answers, strict=True):
        for task, logits in answer.logits.items():
            found.setdefault((row.place, task), []).append(Window(logits, row.aligned, row.encoded.truncated))
    places: dict[str, list[int]] = {}
    for place, names in enumerate(tasks, first):
        for task in names:
            places.setdefault(task, []).append(place)
    by_task = {task: tuple(tuple(found[place, task]) for place in own) for task, own in places.items()}
    whole = {task: inputs for task, inputs in by_task.items() if inputs[0][0].logits.ndim == 1}
    last = max(answers, key=lambda answer: answer.queue_s + answer.inference_s)
    return Result(
        logits={task: np.stack([own.logits for [own] in inputs]) for task, inputs in whole.items()},
        windows={task: inputs for task, inputs in by_task.items() if task not in whole},
        places={task: tuple(own) for task, own in places.items()},
        rung=answers[0].rung,
        tokens=sum(row.encoded.length for row in rows),
        truncated=sum(row.encoded.truncated for row in rows),
        timings=Timings(last.queue_s, tokenize, last.inference_s, total),
        routes=routes or {},
    )
