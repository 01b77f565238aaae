"""Request bodies: read and checked here, whatever content type the client states, and described for OpenAPI."""

from collections.abc import Iterable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.openapi.constants import REF_TEMPLATE
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from serving.api.errors import InvalidRequest, MalformedJson
from serving.api.forms import CONTENT_TYPE, is_form, read_form
from serving.errors import RequestError, TooManyInputs

_MOST_ERRORS = 5
_MOST_LOOKED_AT = 5000  # more take longer to list than the body took to read
_LONGEST_PATH = 200
_MESSAGES = {  # of pydantic's types
    "extra_forbidden": "is not a known key",
    "bytes_invalid_encoding": "is not base64 (alone, without data: before it, and without line breaks)",
    "missing": "is missing",
    "list_type": "should be a list",
    "string_type": "should be a string",
}

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M]) -> M:
    """The request's JSON body as `model`; where the client says that it is a form, as `serving.api.forms` reads it.

    Raises:
        MalformedJson: it is neither JSON nor a form.
        InvalidRequest: it does not fit; the message tells each offending part by its path.
    """
    body = await request.body()
    if not is_form(content_type := request.headers.get("Content-Type", "")):
        return parse(model, body, request.headers.get("Content-Encoding"))
    try:
        return model.model_validate(read_form(body, content_type))
    except ValidationError as error:
        raise _request_error(error) from None  # as in `parse`


def parse(model: type[M], body: bytes | memoryview, encoding: str | None = None) -> M:
    """As `read_body`, from bytes, which the client says to have in that Content-Encoding."""
    try:
        return model.model_validate_json(bytes(body))
    except ValidationError as error:
        told = _request_error(error)
        if isinstance(told, MalformedJson) and encoding is not None:
            told = MalformedJson(f"the body is not JSON, but {encoding[:20]} by its Content-Encoding: send it without")
        raise told from None  # the cause quotes the body


def _request_error(error: ValidationError) -> RequestError:
    """What a client is told of a failed validation: every offending part, none of its content."""
    if (count := error.error_count()) > _MOST_LOOKED_AT:
        return InvalidRequest(f"the body does not fit its schema in {count} places: send fewer inputs to learn which")
    problems: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        if detail["type"] == "json_invalid":
            return MalformedJson(f"the body is not JSON: {detail['msg'].removeprefix('Invalid JSON: ')}")
        if detail["type"] == "too_long" and detail["loc"] == ("inputs",):
            return TooManyInputs(f"inputs: {detail['msg']}: split the request", "inputs")
        message = _MESSAGES.get(detail["type"], detail["msg"])
        problems.setdefault(_path(detail["loc"]), []).append(message)
    told = [f"{path or 'the body'}: {', or '.join(messages)}" for path, messages in problems.items()]
    return InvalidRequest("; ".join(told[:_MOST_ERRORS]), next(iter(problems)) or None)


def _path(loc: Iterable[int | str]) -> str:
    """`("inputs", 0, "text")` as `inputs[0].text`, without pydantic's names of union members (`list[str]`)."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc if "[" not in str(part)]
    return "".join(parts).removeprefix(".")[:_LONGEST_PATH]


def body_of(model: type[BaseModel], form: type[BaseModel] | None = None) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body is read as `model`, or as `form` if it is one; see `body_schemas`."""
    content: dict[str, Any] = {"application/json": {"schema": _reference(model)}}
    if form is not None:
        encoding = {"parameters": {"contentType": "application/json"}}
        content[CONTENT_TYPE] = {"schema": _reference(form), "encoding": encoding}
    return {"requestBody": {"required": True, "content": content}}


def lines_of(*models: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """What a route's `responses` say of its streamed answer, each line of which is one of `models`."""
    schema = {"oneOf": [_reference(model) for model in models]}
    return {200: {"description": "The answers", "content": {"application/x-ndjson": {"schema": schema}}}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF_TEMPLATE.format(model=model.__name__)}


def body_schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """What `body_of` and `lines_of` refer to, for the OpenAPI document's `components.schemas`."""
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=REF_TEMPLATE)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
