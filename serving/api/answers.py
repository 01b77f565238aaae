"""From the service's results to the bodies of the /v1 routes."""

from dataclasses import asdict

from serving.api.schemas import (
    InputAnswer,
    Model,
    Parameters,
    Prediction,
    TaskAnswer,
    TaskLine,
    TasksLine,
    TimingsMs,
    Usage,
)
from serving.engine.types import Logits
from serving.result import Result
from serving.scores import probabilities, ranked
from serving.service import Service


def task_answer(service: Service, result: Result, name: str, asked: Parameters) -> TaskAnswer:
    """One task's answer to all inputs that it was asked of."""
    logits = result.logits[name]
    return TaskAnswer(
        predictions=_predictions(service, name, logits, asked),
        logits=logits.tolist() if asked.return_logits else None,
    )


def answers_by_input(service: Service, result: Result, asked: Parameters) -> dict[int, dict[str, InputAnswer]]:
    """The answers of its tasks to each input, by the input's place in the request."""
    answers: dict[int, dict[str, InputAnswer]] = {}
    for task, logits in result.logits.items():
        rows = zip(result.places[task], _predictions(service, task, logits, asked), logits, strict=True)
        for place, predictions, values in rows:
            told = values.tolist() if asked.return_logits else None
            answers.setdefault(place, {})[task] = InputAnswer(predictions=predictions, logits=told)
    return dict(sorted(answers.items()))


def task_line(service: Service, result: Result, asked: Parameters) -> TaskLine:
    """The line of a stream for the one input of `result` and its one task."""
    [(index, by_task)] = answers_by_input(service, result, asked).items()
    [answer] = by_task.values()
    return TaskLine(index=index, rung=result.rung.name, predictions=answer.predictions, logits=answer.logits)


def tasks_line(service: Service, result: Result, asked: Parameters) -> TasksLine:
    """The line of a stream for the one input of `result`."""
    [(index, answers)] = answers_by_input(service, result, asked).items()
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


def _predictions(service: Service, name: str, logits: Logits, asked: Parameters) -> list[list[Prediction]]:
    task = service.tasks[name]
    return [
        [Prediction(label=label, score=score) for label, score in ranked(scores, task.labels, asked.top_k)]
        for scores in probabilities(logits, task)
    ]
