"""The Open Inference Protocol, version 2, over HTTP: a task is a model, and the ladder's revision is its version."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from merge_builder.ladder import kind_of
from merge_builder.ladder.manifest import Task
from serving.api.binary_tensors import HEADER_LENGTH, split_body
from serving.api.bodies import body_of, parse
from serving.api.errors import UnknownVersion
from serving.api.headers import answer_headers
from serving.api.protocol import (
    Health,
    InferRequest,
    InferResponse,
    ModelIndex,
    ModelList,
    ModelMetadata,
    ModelReady,
    ProtocolError,
    ServerMetadata,
    TensorMetadata,
)
from serving.api.v2_inputs import DATATYPES, read_inputs
from serving.api.v2_outputs import describe_outputs, find_outputs, write_outputs
from serving.service import Service

BODIES: tuple[type[BaseModel], ...] = (InferRequest,)
_REFUSED: dict[int | str, dict[str, Any]] = {status: {"model": ProtocolError} for status in (401, 422)}
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ProtocolError}}
_ERRORS: dict[int | str, dict[str, Any]] = _UNKNOWN | {
    status: {"model": ProtocolError} for status in (400, 413, 429, 503, 504)
}
_BINARY: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


def routes(service: Service) -> APIRouter:
    """The routes under /v2."""
    router = APIRouter(prefix="/v2", tags=["v2"], responses=_REFUSED)

    @router.get("")
    async def server_metadata() -> ServerMetadata:
        """This server and the extensions of the protocol that it has."""
        return ServerMetadata(name="mergeladder", version=version("mergeladder"), extensions=["binary_tensor_data"])

    @router.get("/health/live")
    async def live() -> Health:
        """Whether the process answers, which it does."""
        return Health(live=True, ready=service.ready)

    @router.get("/health/ready", responses={503: {"model": Health}})
    async def ready() -> JSONResponse:
        """Whether requests should be sent here: a first inference is done, and no shutdown has begun."""
        return JSONResponse(Health(live=True, ready=service.ready).model_dump(), 200 if service.ready else 503)

    @router.get("/models")
    async def list_models() -> ModelList:
        """Every task."""
        return ModelList(models=list(service.tasks))

    @router.post("/repository/index")
    async def index() -> list[ModelIndex]:
        """Every task, in the form that Triton's clients list models by."""
        state = "READY" if service.ready else "UNAVAILABLE"
        revision = service.manifest.revision
        return [ModelIndex(name=name, version=revision, state=state, reason="") for name in service.tasks]

    async def latest(task: str) -> Task:
        return service.check_task(task)

    async def versioned(task: str, revision: str) -> Task:
        known, current = service.check_task(task), service.manifest.revision
        if revision != current:
            raise UnknownVersion(f"task {task!r} has no version {revision!r}: it has {current!r}", "version")
        return known

    _model_routes(router, service, "/models/{task}", latest)
    _model_routes(router, service, "/models/{task}/versions/{revision}", versioned)
    return router


def _model_routes(router: APIRouter, service: Service, path: str, find: Callable[..., Awaitable[Task]]) -> None:
    """The routes of one task under `path`, whose parameters `find` turns into the task."""
    datatypes = DATATYPES[service.engine.modality]

    @router.get(path, responses=_UNKNOWN)
    async def model_metadata(task: Annotated[Task, Depends(find)]) -> ModelMetadata:
        """The inputs and outputs of a task."""
        return _metadata(task, service.manifest.revision, datatypes)

    @router.get(path + "/ready", responses=_UNKNOWN | {503: {"model": ModelReady}})
    async def model_ready(task: Annotated[Task, Depends(find)]) -> JSONResponse:
        """Whether a task can be asked: all can as soon as one can."""
        return JSONResponse(ModelReady(name=task.name, ready=service.ready).model_dump(), 200 if service.ready else 503)

    @router.post(
        path + "/infer",
        response_model=InferResponse,
        responses=_ERRORS | _BINARY,
        openapi_extra=body_of(InferRequest),
    )
    async def infer(request: Request, task: Annotated[Task, Depends(find)]) -> Response:
        """Ask a task. Tensors may be in the JSON, or after it in binary form, in the request and in the response."""
        text, rest = split_body(await request.body(), request.headers.get(HEADER_LENGTH))
        asked = parse(InferRequest, text, request.headers.get("Content-Encoding"))
        parameters = asked.parameters
        service.limits.check_inputs(max(sum(tensor.shape[:1]) for tensor in asked.inputs))  # before they are read
        inputs = read_inputs(asked, rest, datatypes)
        request.state.inputs = len(inputs)
        result = await service.predict(
            inputs,
            [task.name],
            truncate=parameters.truncate,
            overlap=parameters.doc_stride,
            min_rung=parameters.min_rung,
            min_score=parameters.min_score,
            deadline=request.state.deadline,
        )
        found = await asyncio.to_thread(find_outputs, result, task, inputs, parameters.max_answer_len)
        outputs, binary = write_outputs(asked, found)
        body = InferResponse(
            model_name=task.name,
            model_version=service.manifest.revision,
            id=asked.id,
            parameters={"rung": result.rung.name, "ratio": result.rung.size.ratio},
            outputs=outputs,
        )
        return _respond(body, binary, answer_headers(result))


def _respond(body: InferResponse, binary: bytes, headers: dict[str, str]) -> Response:
    text = body.model_dump_json(exclude_none=True).encode()
    if not binary:
        return Response(text, 200, headers, "application/json")
    return Response(text + binary, 200, headers | {HEADER_LENGTH: str(len(text))}, "application/octet-stream")


def _metadata(task: Task, revision: str, datatypes: Mapping[str, str]) -> ModelMetadata:
    return ModelMetadata(
        name=task.name,
        versions=[revision],
        platform="mergeladder",
        inputs=[
            TensorMetadata(name=name, datatype=datatype, shape=[-1] if datatype == "BYTES" else [-1, -1])
            for name, datatype in datatypes.items()
        ],
        outputs=describe_outputs(task),
        parameters={"kind": kind_of(task)},
    )
