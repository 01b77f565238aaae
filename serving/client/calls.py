"""The calls as plain data: what each sends and how its answer is read. Nothing here touches the network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from serving.api.schemas.answers import MixedResponse, TaskResponse, TasksResponse
from serving.api.schemas.embeddings import EmbeddingsResponse
from serving.api.schemas.ladder import LadderInfo, TaskInfo, TaskList
from serving.client.bodies import Auto, Body, Input, MixedInput, Named, Options, body_of, json_body

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how the body of its answer (or a line of it) is read; without a body it is a GET."""

    path: str
    read: Callable[[bytes], T]
    body: Body | None = None
    accept: str = "application/json"

    def request(self, left: float) -> dict[str, Any]:
        """What httpx is to send; the server is told when nobody waits any more, so that it may drop the work."""
        headers = {"X-Request-Timeout-Seconds": f"{left:.3f}", "Accept": self.accept}
        sent: dict[str, Any] = {"method": "GET", "url": self.path, "headers": headers, "timeout": left}
        if self.body is not None:
            headers["Content-Type"] = self.body.content_type
            sent |= {"method": "POST", "content": self.body.content}
        return sent


def authorisation(key: str | None) -> dict[str, str]:
    """The headers that every call has."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def predict(task: str, inputs: Sequence[Input], options: Options) -> Call[TaskResponse]:
    """One task's answer for each input."""
    return Call(f"v1/tasks/{quote(task, safe='')}/predict", _reader(TaskResponse), body_of(inputs, options))


def predict_many(inputs: Sequence[Input], tasks: Named, options: Options) -> Call[TasksResponse]:
    """Several tasks' answers for each input."""
    return Call("v1/predict", _reader(TasksResponse), body_of(inputs, options, tasks))


def predict_each(inputs: Sequence[Input | MixedInput], tasks: Auto | None, options: Options) -> Call[MixedResponse]:
    """For each input the answers of its own tasks, or of those that the router chooses."""
    return Call("v1/predict", _reader(MixedResponse), body_of(inputs, options, tasks))


def embed(task: str, texts: Sequence[str]) -> Call[list[list[float]]]:
    """One vector for each text."""
    return Call("v1/embeddings", _vectors, json_body({"model": task, "input": texts}))


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


def _vectors(body: bytes) -> list[list[float]]:
    items = _reader(EmbeddingsResponse)(body).data
    return [item.embedding for item in items if isinstance(item.embedding, list)]
