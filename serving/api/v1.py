"""The simple form: `/v1/tasks/{task}/predict`, `/v1/predict` for many tasks, and what the ladder is."""

import asyncio
from collections.abc import Callable
from itertools import chain
from typing import Any, ParamSpec, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from merge_builder.ladder import Manifest, RungSize, kind_of
from serving.api.answers import (
    answers_by_input,
    model_of,
    task_answer,
    task_line,
    tasks_line,
    timings_of,
    usage_of,
)
from serving.api.asked_tasks import asked_tasks, noting
from serving.api.bodies import body_of, lines_of, read_body
from serving.api.errors import InvalidRequest
from serving.api.headers import answer_headers
from serving.api.inputs import inputs_of
from serving.api.lines import respond_in_lines, wants_lines
from serving.api.schemas.answers import LastLine, MixedResponse, TaskLine, TaskResponse, TasksLine, TasksResponse
from serving.api.schemas.errors import ErrorBody
from serving.api.schemas.ladder import LadderInfo, RouterInfo, RungInfo, TaskInfo, TaskList
from serving.api.schemas.requests import Parameters, TaskForm, TaskRequest, TasksForm, TasksRequest
from serving.options import Options
from serving.result import Result
from serving.service import Service
from serving.streaming import stream

P = ParamSpec("P")
T = TypeVar("T")
BODIES: tuple[type[BaseModel], ...] = (
    TaskRequest,
    TasksRequest,
    TaskForm,
    TasksForm,
    TaskLine,
    TasksLine,
    LastLine,
    ErrorBody,
)
_REFUSED: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (401, 422)}
_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (400, 404, 413, 429, 503, 504)}


def routes(service: Service) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["v1"], responses=_REFUSED)

    @router.post(
        "/tasks/{task}/predict",
        response_model=TaskResponse,
        responses=_ERRORS | lines_of(TaskLine, LastLine, ErrorBody),
        openapi_extra=body_of(TaskRequest, TaskForm),
    )
    async def predict_task(task: str, request: Request) -> Response:
        """One task's answer for each input, in order; in lines, as they come, where the client accepts NDJSON."""
        body = await read_body(request, TaskRequest)
        request.state.inputs = len(body.inputs)
        _check_door(service, task)
        inputs, asked = inputs_of(body.inputs), body.parameters
        if wants_lines(request):
            results = stream(service, inputs, [(task,)] * len(inputs), **_options(asked))
            return await respond_in_lines(request, service, results, lambda one: task_line(service, one, inputs, asked))
        result = await service.predict(inputs, [task], deadline=request.state.deadline, **_options(asked))
        answer = await _apart(result, task_answer, service, result, inputs, task, asked)
        return _respond(
            result,
            TaskResponse(
                id=request.state.request_id,
                task=task,
                model=model_of(service, result),
                usage=usage_of(result),
                timings_ms=timings_of(result),
                **dict(answer),
            ),
        )

    @router.post(
        "/predict",
        response_model=TasksResponse | MixedResponse,
        responses=_ERRORS | lines_of(TasksLine, LastLine, ErrorBody),
        openapi_extra=body_of(TasksRequest, TasksForm),
    )
    async def predict(request: Request) -> Response:
        """Several tasks' answers for each input. What the tasks share of the model runs once for all of them.

        An input may name its own tasks, or leave them to the ladder's router; then the answers come by input, and not
        by task. In lines, as they come, where the client accepts NDJSON.
        """
        body = await read_body(request, TasksRequest)
        inputs, asked, tasks = inputs_of(body.inputs), body.parameters, asked_tasks(service, body)
        told_of = dict.fromkeys(chain.from_iterable(filter(None, tasks)))
        request.state.inputs, request.state.tasks = len(inputs), told_of
        if wants_lines(request):
            results = noting(told_of, stream(service, inputs, tasks, **_options(asked)))
            return await respond_in_lines(
                request, service, results, lambda one: tasks_line(service, one, inputs, asked)
            )
        result = await service.predict_each(inputs, tasks, deadline=request.state.deadline, **_options(asked))
        told_of.update(dict.fromkeys(result.places))
        told: dict[str, Any] = {
            "id": request.state.request_id,
            "model": model_of(service, result),
            "usage": usage_of(result),
            "timings_ms": timings_of(result),
        }
        if result.routes or any(item.tasks is not None for item in body.inputs):
            answers = await _apart(result, answers_by_input, service, result, inputs, asked)
            return _respond(result, MixedResponse(answers=list(answers.values()), **told))
        by_task = {
            task: await _apart(result, task_answer, service, result, inputs, task, asked) for task in result.places
        }
        return _respond(result, TasksResponse(results=by_task, **told))

    @router.get("/tasks")
    async def list_tasks() -> TaskList:
        """Every task, with its labels in the order of its logits."""
        tasks = service.tasks.items()
        return TaskList(
            tasks=[
                TaskInfo(name=name, kind=kind_of(task), labels=task.labels, max_length=service.max_length[name])
                for name, task in tasks
            ]
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
            router=_router(manifest),
        )

    return router


def _check_door(service: Service, task: str) -> None:
    if kind_of(service.check_task(task)) == "embedding":
        raise InvalidRequest(
            f"task {task!r} gives embeddings: ask for them at POST /v1/embeddings, for images at POST /v1/predict",
            "task",
        )


async def _apart(result: Result, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `make` makes of a result: away from the event loop where it has to go through every token."""
    return await asyncio.to_thread(make, *args, **kwargs) if result.windows else make(*args, **kwargs)


def _options(asked: Parameters) -> Options:
    return {
        "truncate": asked.truncate,
        "overlap": asked.doc_stride,
        "min_rung": asked.min_rung,
        "min_score": asked.min_score,
    }


def _router(manifest: Manifest) -> RouterInfo | None:
    found = manifest.router
    if found is None:
        return None
    return RouterInfo(accuracy=found.accuracy, interval=found.interval, chance=1 / len(manifest.tasks))


def _rung(size: RungSize) -> RungInfo:
    return RungInfo(rung=f"#{size.index}", index=size.index, ratio=size.ratio, bytes=size.bytes)


def _respond(result: Result, body: BaseModel) -> Response:
    return Response(body.model_dump_json(exclude_none=True), 200, answer_headers(result), "application/json")
