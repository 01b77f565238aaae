"""What users hand in, and the body that it becomes: JSON, or a multipart form where every input is an image.

A form holds image files as they are, a third smaller than the base64 of JSON, and no tasks of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import httpx
from pydantic import BaseModel
from pydantic_core import to_json

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
_JSON = "application/json"


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
class Body:
    """The bytes of a request, and their `Content-Type`."""

    content: bytes
    content_type: str = _JSON


def body_of(inputs: Sequence[Input | MixedInput], options: Options, tasks: Tasks | None = None) -> Body:
    """The body that asks for `inputs`; images' files are read.

    Raises:
        OSError: a file cannot be read.
    """
    # A lone text is no list of texts, and not to be taken for its letters: the server tells.
    listed = inputs if isinstance(inputs, str) else [_with_bytes(item) for item in inputs]
    files = [_file(item) for item in listed]
    if files and None not in files and not _like_a_word(tasks):
        return _form([file for file in files if file is not None], options, tasks)
    body: dict[str, object] = {"inputs": listed, "parameters": options}
    return Body(to_json(body if tasks is None else body | {"tasks": tasks}, bytes_mode="base64"))


def json_body(body: object) -> Body:
    """`body` in JSON."""
    return Body(to_json(body))


def _with_bytes(item: Input | MixedInput) -> object:
    if isinstance(item, bytes | Path):
        item = {"image": item}
    if isinstance(item, Mapping) and isinstance(path := item.get("image"), Path):
        return {**item, "image": path.read_bytes()}
    return item


def _file(item: object) -> bytes | None:
    """The bytes of an input that is an image file and nothing else."""
    fields = item.model_dump(exclude_none=True) if isinstance(item, BaseModel) else item
    match fields:
        case {"image": bytes(file), **others} if not others:
            return file
    return None


def _like_a_word(tasks: Tasks | None) -> bool:
    """Whether names of tasks would be something else in a form: no names at all, or a word."""
    return tasks is not None and not isinstance(tasks, str) and list(tasks) in ([], ["all"], ["auto"])


def _form(files: Sequence[bytes], options: Options, tasks: Tasks | None) -> Body:
    fields: dict[str, object] = {"parameters": to_json(options).decode()}
    if tasks is not None:
        fields["tasks"] = tasks if isinstance(tasks, str) else list(tasks)
    # httpx is to encode it once, for every attempt; parts with a file name are files to whatever lies between.
    parts = [("image", ("image", file, "application/octet-stream")) for file in files]
    request = httpx.Request("POST", "http://form", data=fields, files=parts)
    return Body(request.read(), request.headers["Content-Type"])
