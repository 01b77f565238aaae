"""From the service's results to the bodies of the /v1 routes."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from merge_builder.ladder import kind_of
from merge_builder.ladder.manifest import Task
from serving.api.schemas.answers import (
    InputAnswer,
    MixedAnswer,
    Model,
    Prediction,
    TaskAnswer,
    TaskLine,
    TasksLine,
    TimingsMs,
    Usage,
)
from serving.api.schemas.requests import Parameters
from serving.api.token_answers import token_answer
from serving.engine.types import Logits
from serving.inputs import Input
from serving.result import Result
from serving.routing import Route
from serving.scores import probabilities, ranked
from serving.service import Service


def task_answer(service: Service, result: Result, inputs: Sequence[Input], name: str, asked: Parameters) -> TaskAnswer:
    """One task's answer to all inputs that it was asked of; `inputs` are those of the request."""
    answers = _answers(service, result, inputs, name, asked)
    columns = {key: [getattr(answer, key) for answer in answers] for key in InputAnswer.model_fields}
    columns["embeddings"] = columns.pop("embedding")
    # All answers of a task are of one kind, so a column is there for all of them or for none.
    kept = {key: column for key, column in columns.items() if column[0] is not None}
    if not kept["predictions"][0]:
        del kept["predictions"]
    return TaskAnswer(**kept)


def answers_by_input(
    service: Service, result: Result, inputs: Sequence[Input], asked: Parameters
) -> dict[int, dict[str, MixedAnswer]]:
    """The answers of its tasks to each input, by the input's place in the request."""
    answers: dict[int, dict[str, MixedAnswer]] = {}
    for task, places in result.places.items():
        for place, answer in zip(places, _answers(service, result, inputs, task, asked), strict=True):
            answers.setdefault(place, {})[task] = MixedAnswer(**dict(answer))
    for place, route in result.routes.items():
        if route.ensemble:
            answers[place] = {route.tasks[0]: _ensemble(service, result, place, route, asked)}
        else:
            answers[place] = {
                task: answers[place][task].model_copy(update={"confidence": confidence})
                for task, confidence in route.confidences.items()
            }
    return dict(sorted(answers.items()))


def task_line(service: Service, result: Result, inputs: Sequence[Input], asked: Parameters) -> TaskLine:
    """The line of a stream for the one input of `result` and its one task."""
    [(index, by_task)] = answers_by_input(service, result, inputs, asked).items()
    [answer] = by_task.values()
    told = {key: getattr(answer, key) for key in InputAnswer.model_fields}
    return TaskLine(index=index, rung=result.rung.name, **told)


def tasks_line(service: Service, result: Result, inputs: Sequence[Input], asked: Parameters) -> TasksLine:
    """The line of a stream for the one input of `result`."""
    [(index, answers)] = answers_by_input(service, result, inputs, asked).items()
    return TasksLine(index=index, rung=result.rung.name, answers=answers)


def model_of(service: Service, result: Result) -> Model:
    """The ladder, and the rung that computed `result`."""
    manifest, rung = service.manifest, result.rung
    return Model(ladder=service.ladder_name, revision=manifest.revision, rung=rung.name, ratio=rung.size.ratio)


def usage_of(result: Result) -> Usage:
    """Its tokens."""
    return Usage(tokens=result.tokens, truncated=result.truncated)


def timings_of(result: Result) -> TimingsMs:
    """Its times in milliseconds."""
    return TimingsMs(**{stage: round(seconds * 1000, 3) for stage, seconds in asdict(result.timings).items()})


def _answers(
    service: Service, result: Result, inputs: Sequence[Input], name: str, asked: Parameters
) -> list[InputAnswer]:
    """A task's answers to the inputs that it was asked of, in order."""
    task, tokenizer = service.tasks[name], service.engine.tokenizer if name in result.windows else None
    if tokenizer is not None:
        asked_of = zip(result.places[name], result.windows[name], strict=True)
        return [token_answer(task, windows, inputs[place], tokenizer, asked) for place, windows in asked_of]
    logits = result.logits[name]
    if kind_of(task) == "embedding":
        return [InputAnswer(embedding=vector) for vector in logits.tolist()]
    told = logits.tolist() if asked.return_logits else [None] * len(logits)
    return [
        InputAnswer(predictions=_ranked(scores, task, asked), logits=values)
        for scores, values in zip(probabilities(logits, task), told, strict=True)
    ]


def _ensemble(service: Service, result: Result, place: int, route: Route, asked: Parameters) -> MixedAnswer:
    """Two tasks of the same labels as one: their probabilities, weighed by the router's confidence in each.

    The logits are the logarithms of what that makes.
    """
    total, scores = sum(route.confidences.values()), np.zeros(0, np.float32)
    for name, confidence in route.confidences.items():
        row = result.logits[name][result.places[name].index(place)]
        own = confidence / total * probabilities(row[None], service.tasks[name])[0]
        scores = own if not scores.size else scores + own
    logits = np.log(np.maximum(scores, np.finfo(np.float32).tiny)).tolist() if asked.return_logits else None
    predictions = _ranked(scores, service.tasks[route.tasks[0]], asked)
    return MixedAnswer(predictions=predictions, logits=logits, confidence=total, ensemble=dict(route.confidences))


def _ranked(scores: Logits, task: Task, asked: Parameters) -> list[Prediction]:
    return [Prediction(label=label, score=score) for label, score in ranked(scores, task.labels, asked.top_k)]
