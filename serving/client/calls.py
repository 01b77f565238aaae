"""The calls as plain data: what each sends and how its answer is read. Nothing here touches the network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypedDict, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from serving.api.schemas.answers import MixedResponse, TaskResponse, TasksResponse
from serving.api.schemas.embeddings import EmbeddingsResponse
from serving.api.schemas.errors import ErrorBody
from serving.api.schemas.inputs import (
    ImageInput,
    QuestionInput,
    TasksImageInput,
    TasksInput,
    TasksQuestionInput,
    TasksWordsInput,
    TextInput,
    WordsInput,
)
from serving.api.schemas.ladder import LadderInfo, TaskInfo, TaskList
from serving.client.errors import ConnectionFailed, DeadlineExceeded, MergeLadderApiError, UnexpectedAnswer, api_error
from serving.client.retries import Reply
from serving.strategy import Strategy

Image = bytes | Path  # a file's bytes, or where it lies
Words = Mapping[str, Sequence[str]]
Input = (
    str | Image | TextInput | ImageInput | WordsInput | QuestionInput | Mapping[str, str] | Mapping[str, Image] | Words
)
MixedInput = (
    TasksInput | TasksImageInput | TasksWordsInput | TasksQuestionInput | Mapping[str, str | Image | Sequence[str]]
)
Named = Sequence[str] | Literal["all"]
Auto = Literal["auto"]
Tasks = Named | Auto
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_LONGEST_MESSAGE = 200


class Options(TypedDict, total=False):
    """What a prediction may ask for; `serving.api.schemas.requests.Parameters` tells what each means."""

    top_k: int | None
    truncate: bool
    return_logits: bool
    aggregation_strategy: Strategy | None
    max_answer_len: int
    doc_stride: int | None
    min_rung: str | None
    min_score: float | None


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how the body of its answer (or a line of it) is read; without a body it is a GET."""

    path: str
    read: Callable[[bytes], T]
    body: bytes | None = None
    accept: str = "application/json"

    @property
    def method(self) -> str:
        """GET or POST."""
        return "GET" if self.body is None else "POST"


def predict(task: str, inputs: Sequence[Input], options: Options) -> Call[TaskResponse]:
    """One task's answer for each input."""
    body = body_of(inputs, options)
    return Call(f"v1/tasks/{quote(task, safe='')}/predict", _reader(TaskResponse), body)


def predict_many(inputs: Sequence[Input], tasks: Named, options: Options) -> Call[TasksResponse]:
    """Several tasks' answers for each input."""
    return Call("v1/predict", _reader(TasksResponse), body_of(inputs, options, tasks))


def predict_each(inputs: Sequence[Input | MixedInput], tasks: Auto | None, options: Options) -> Call[MixedResponse]:
    """For each input the answers of its own tasks, or of those that the router chooses."""
    return Call("v1/predict", _reader(MixedResponse), body_of(inputs, options, tasks))


def body_of(inputs: Sequence[Input | MixedInput], options: Options, tasks: Tasks | None = None) -> bytes:
    """The body that asks for `inputs`; images' files are read, and sent as base64.

    Raises:
        OSError: a file cannot be read.
    """
    # A lone text is no list of texts, and not to be taken for its letters: the server tells.
    listed: object = inputs if isinstance(inputs, str) else [_with_bytes(item) for item in inputs]
    body = {"inputs": listed, "parameters": options}
    return to_json(body if tasks is None else body | {"tasks": tasks}, bytes_mode="base64")


def _with_bytes(item: Input | MixedInput) -> object:
    if isinstance(item, bytes | Path):
        item = {"image": item}
    if isinstance(item, Mapping) and isinstance(path := item.get("image"), Path):
        return {**item, "image": path.read_bytes()}
    return item


def embed(task: str, texts: Sequence[str]) -> Call[EmbeddingsResponse]:
    """One vector for each text."""
    return Call("v1/embeddings", _reader(EmbeddingsResponse), to_json({"model": task, "input": texts}))


def list_tasks() -> Call[list[TaskInfo]]:
    """Every task."""
    read = _reader(TaskList)
    return Call("v1/tasks", lambda body: read(body).tasks)


def describe_ladder() -> Call[LadderInfo]:
    """The ladder and its current rung."""
    return Call("v1/ladder", _reader(LadderInfo))


def _reader(model: type[M]) -> Callable[[bytes], M]:
    # A newer server may tell more than this client knows.
    return lambda body: model.model_validate_json(body, extra="ignore")


def read_answer(call: Call[T], response: httpx.Response) -> T:
    """The typed answer in a successful response.

    Raises:
        UnexpectedAnswer: it is no answer to this call.
    """
    try:
        return call.read(response.content)
    except ValidationError as error:
        raise unexpected(call, response) from error


def unexpected(call: Call[T], response: httpx.Response) -> UnexpectedAnswer:
    """The exception for a response that is no answer to `call`."""
    problem = f"{response.url.copy_with(query=None)} answered with something else than {call.path} of MergeLadder"
    return UnexpectedAnswer("unexpected_answer", problem, None, _id(response), response.status_code)


def failure(reply: Reply, url: str, timeout: float) -> MergeLadderApiError:
    """The exception for a call that ended with `reply`; its cause is set where there is one."""
    if isinstance(reply, MergeLadderApiError):
        return reply
    if isinstance(reply, httpx.Response):
        return _told(reply)
    error = _no_response(reply, url, timeout)
    error.__cause__ = reply
    return error


def _told(response: httpx.Response) -> MergeLadderApiError:
    """Our server's error body; or a proxy's plain text, by its status."""
    try:
        told = ErrorBody.model_validate_json(response.content, extra="ignore").error
    except ValidationError:
        text = " ".join(response.text.split())[:_LONGEST_MESSAGE]
        message = f"status {response.status_code}: {text or response.reason_phrase}"
        return api_error(None, message, None, _id(response), response.status_code)
    return api_error(told.type, told.message, told.param, told.request_id, response.status_code)


def _id(response: httpx.Response) -> str | None:
    return str(response.headers["X-Request-Id"]) if "X-Request-Id" in response.headers else None


def _no_response(error: httpx.RequestError, url: str, timeout: float) -> MergeLadderApiError:
    if isinstance(error, httpx.TimeoutException):
        return DeadlineExceeded("deadline_exceeded", f"{url} did not answer within {timeout:g} s")
    return ConnectionFailed("connection_failed", f"no answer from {url}: {error or type(error).__name__}")
