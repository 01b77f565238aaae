"""A typed client of the HTTP interface, sync and async, that waits and asks again where the server says so.

with Client("http://127.0.0.1:8000", key="...") as client:
    client.predict("reviews", ["a fine film"]).predictions[0][0].label
    client.predict("fashion", [Path("shirt.jpg")]).predictions[0][0].label

async with AsyncClient("http://127.0.0.1:8000") as client:
    (await client.predict_many(["a fine film"], "all")).results["reviews"].predictions
    async for line in client.stream(texts, ["reviews"]):
        line.answers["reviews"].predictions[0].label

Imports neither torch, transformers, Ray nor a web framework.
"""

from serving.api.schemas.answers import InputAnswer, MixedResponse, TaskAnswer, TaskResponse, TasksLine, TasksResponse
from serving.api.schemas.inputs import ImageInput, QuestionInput, TasksImageInput, TasksInput, TextInput, WordsInput
from serving.api.schemas.ladder import LadderInfo, TaskInfo
from serving.client.async_client import AsyncClient
from serving.client.client import Client
from serving.client.errors import (
    BodyTooLarge,
    ChangeUnderWay,
    ConnectionFailed,
    DeadlineExceeded,
    Draining,
    EmptyText,
    Forbidden,
    ImageTooLarge,
    InputTooLong,
    InvalidRequest,
    MalformedJson,
    MalformedText,
    MergeLadderApiError,
    MethodNotAllowed,
    NoRouter,
    NotFound,
    Overloaded,
    RequestTooLarge,
    RungDoesNotFit,
    RungTooSmall,
    ServerFailed,
    TooManyInputs,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    UnknownNode,
    UnknownTask,
    UnknownVersion,
    UnreadableImage,
)

__all__ = [
    "AsyncClient",
    "Client",
    "ImageInput",
    "InputAnswer",
    "LadderInfo",
    "MixedResponse",
    "TaskAnswer",
    "TaskInfo",
    "TaskResponse",
    "TasksImageInput",
    "TasksInput",
    "TasksLine",
    "TasksResponse",
    "TextInput",
    "QuestionInput",
    "WordsInput",
    "MergeLadderApiError",
    "BodyTooLarge",
    "ChangeUnderWay",
    "ConnectionFailed",
    "DeadlineExceeded",
    "Draining",
    "EmptyText",
    "Forbidden",
    "ImageTooLarge",
    "InputTooLong",
    "InvalidRequest",
    "MalformedJson",
    "MalformedText",
    "MethodNotAllowed",
    "NoRouter",
    "NotFound",
    "Overloaded",
    "RequestTooLarge",
    "RungDoesNotFit",
    "RungTooSmall",
    "ServerFailed",
    "TooManyInputs",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "UnknownNode",
    "UnknownTask",
    "UnknownVersion",
    "UnreadableImage",
]
