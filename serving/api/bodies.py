"""Request bodies: read and checked here, whatever content type the client states, and described for OpenAPI."""

from collections.abc import Iterable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.openapi.constants import REF_TEMPLATE
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from serving.api.errors import InvalidRequest, MalformedJson
from serving.errors import RequestError, TooManyInputs

_MOST_ERRORS = 5
_MOST_LOOKED_AT = 5000  # more take longer to list than the body took to read
_LONGEST_PATH = 200

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M]) -> M:
    """The request's JSON body as `model`.

    Raises:
        MalformedJson: it is not JSON.
        InvalidRequest: it does not fit; the message tells each offending part by its path.
    """
    return parse(model, await request.body())


def parse(model: type[M], body: bytes | memoryview) -> M:
    """As `read_body`, from bytes."""
    try:
        return model.model_validate_json(bytes(body))
    except ValidationError as error:
        raise _request_error(error) from None  # the cause quotes the body


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
        message = "is not a known key" if detail["type"] == "extra_forbidden" else detail["msg"]
        problems.setdefault(_path(detail["loc"]), []).append(message)
    told = [f"{path or 'the body'}: {', or '.join(messages)}" for path, messages in problems.items()]
    return InvalidRequest("; ".join(told[:_MOST_ERRORS]), next(iter(problems)) or None)


def _path(loc: Iterable[int | str]) -> str:
    """`("inputs", 0, "text")` as `inputs[0].text`, without pydantic's names of union members (`list[str]`)."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc if "[" not in str(part)]
    return "".join(parts).removeprefix(".")[:_LONGEST_PATH]


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body is read as `model`; see `body_schemas`."""
    schema = {"$ref": REF_TEMPLATE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def lines_of(*models: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """What a route's `responses` say of its streamed answer, each line of which is one of `models`."""
    schema = {"oneOf": [{"$ref": REF_TEMPLATE.format(model=model.__name__)} for model in models]}
    return {200: {"description": "The answers", "content": {"application/x-ndjson": {"schema": schema}}}}


def body_schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """What `body_of` and `lines_of` refer to, for the OpenAPI document's `components.schemas`."""
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=REF_TEMPLATE)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
