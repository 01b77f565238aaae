"""The simple form: `/v1/tasks/{task}/predict`, `/v1/predict` for many tasks, and what the ladder is."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from merge_builder.ladder import RungSize
from serving.api.bodies import body_of, read_body
from serving.api.errors import NoRouter
from serving.api.headers import answer_headers
from serving.api.schemas import (
    ErrorBody,
    LadderInfo,
    Model,
    Parameters,
    Prediction,
    RungInfo,
    TaskAnswer,
    TaskInfo,
    TaskList,
    TaskRequest,
    TaskResponse,
    TasksRequest,
    TasksResponse,
    TextInput,
    TimingsMs,
    Usage,
)
from serving.encoding import Text
from serving.result import Result
from serving.scores import probabilities, ranked
from serving.service import Service

BODIES: tuple[type[BaseModel], ...] = (TaskRequest, TasksRequest)
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 404, 413, 422, 429, 503, 504)
}


def routes(service: Service) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["v1"])

    @router.post(
        "/tasks/{task}/predict", response_model=TaskResponse, responses=_ERRORS, openapi_extra=body_of(TaskRequest)
    )
    async def predict_task(task: str, request: Request) -> Response:
        """One task's answer for each input, in order."""
        body = await read_body(request, TaskRequest)
        result = await _predict(service, body.inputs, [task], body.parameters)
        answer = _answer(service, result, task, body.parameters)
        return _respond(
            result,
            TaskResponse(
                id=request.state.request_id,
                task=task,
                model=_model(service, result),
                predictions=answer.predictions,
                logits=answer.logits,
                usage=_usage(result),
                timings_ms=_timings(result),
            ),
        )

    @router.post("/predict", response_model=TasksResponse, responses=_ERRORS, openapi_extra=body_of(TasksRequest))
    async def predict(request: Request) -> Response:
        """Several tasks' answers for each input. What the tasks share of the model runs once for all of them."""
        body = await read_body(request, TasksRequest)
        request.state.tasks = tasks = _tasks(service, body.tasks)
        result = await _predict(service, body.inputs, tasks, body.parameters)
        return _respond(
            result,
            TasksResponse(
                id=request.state.request_id,
                model=_model(service, result),
                results={task: _answer(service, result, task, body.parameters) for task in tasks},
                usage=_usage(result),
                timings_ms=_timings(result),
            ),
        )

    @router.get("/tasks")
    async def list_tasks() -> TaskList:
        """Every task, with its labels in the order of its logits."""
        tasks = service.tasks.items()
        return TaskList(
            tasks=[TaskInfo(name=name, labels=task.labels, max_length=service.max_length[name]) for name, task in tasks]
        )

    @router.get("/ladder")
    async def ladder() -> LadderInfo:
        """The ladder's rungs, the one that answers now, and why."""
        manifest = service.manifest
        return LadderInfo(
            name=service.ladder_name,
            revision=manifest.revision,
            method=manifest.method.model_dump(),
            tasks=list(service.tasks),
            rungs=[_rung(size) for size in manifest.rungs],
            current=_rung(service.engine.rung.size),
            budget=service.choice.budget,
            reason=service.choice.reason,
        )

    return router


async def _predict(service: Service, inputs: Sequence[TextInput], tasks: Sequence[str], asked: Parameters) -> Result:
    texts = [Text(item.text, item.text_pair) for item in inputs]
    return await service.predict(texts, tasks, truncate=asked.truncate, min_rung=asked.min_rung)


def _tasks(service: Service, asked: list[str] | str) -> list[str]:
    if asked == "all":
        return list(service.tasks)
    if asked == "auto":
        raise NoRouter('this ladder has no router to choose the tasks by: name them, or send "all"', "tasks")
    for place, name in enumerate(asked):
        service.check_task(name, f"tasks[{place}]")
    return list(dict.fromkeys(asked))


def _answer(service: Service, result: Result, name: str, asked: Parameters) -> TaskAnswer:
    task, logits = service.tasks[name], result.logits[name]
    return TaskAnswer(
        predictions=[
            [Prediction(label=label, score=score) for label, score in ranked(scores, task.labels, asked.top_k)]
            for scores in probabilities(logits, task)
        ],
        logits=logits.tolist() if asked.return_logits else None,
    )


def _model(service: Service, result: Result) -> Model:
    manifest, rung = service.manifest, result.rung
    return Model(ladder=service.ladder_name, revision=manifest.revision, rung=rung.name, ratio=rung.size.ratio)


def _usage(result: Result) -> Usage:
    return Usage(tokens=result.tokens, truncated=result.truncated)


def _timings(result: Result) -> TimingsMs:
    return TimingsMs(**{stage: round(seconds * 1000, 3) for stage, seconds in asdict(result.timings).items()})


def _rung(size: RungSize) -> RungInfo:
    return RungInfo(rung=f"#{size.index}", index=size.index, ratio=size.ratio, bytes=size.bytes)


def _respond(result: Result, body: BaseModel) -> Response:
    return Response(body.model_dump_json(exclude_none=True), 200, answer_headers(result), "application/json")
