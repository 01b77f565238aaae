"""Every error of the HTTP interface: its type, its status, and the two bodies it may take.

{"error": {"type", "message", "param", "request_id"}}      everywhere but under /v2
{"error": "message"}                                       under /v2, as the Open Inference Protocol has it
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from serving.api.protocol import ProtocolError
from serving.api.schemas.errors import ErrorBody, ErrorDetail
from serving.errors import (
    ChangeUnderWay,
    DeadlineExceeded,
    Draining,
    EmptyText,
    ImageTooLarge,
    InputTooLong,
    Overloaded,
    RequestError,
    RequestTooLarge,
    RungDoesNotFit,
    RungTooSmall,
    TooManyInputs,
    Unavailable,
    UnknownNode,
    UnknownTask,
    UnreadableImage,
)

log = logging.getLogger("mergeladder.api")


class MalformedJson(RequestError):
    """The body is not JSON."""


class Unauthorized(RequestError):
    """There is no key, or not one that is known."""


class MalformedText(RequestError):
    """A text in a binary tensor is not valid UTF-8."""


class InvalidRequest(RequestError):
    """The body is JSON and does not fit the schema."""


class UnknownVersion(RequestError):
    """The ladder has another revision."""


class NoRouter(RequestError):
    """The tasks were to be found by a router, and the ladder has none."""


class BodyTooLarge(RequestError):
    """The body has more bytes than the server reads."""


@dataclass(frozen=True)
class Kind:
    """A type of error, as clients see it."""

    status: int
    type: str


INTERNAL = Kind(500, "internal")
KINDS: Mapping[type[Exception], Kind] = {
    MalformedJson: Kind(400, "malformed_json"),
    MalformedText: Kind(400, "malformed_text"),
    Unauthorized: Kind(401, "unauthorized"),
    UnknownTask: Kind(404, "unknown_task"),
    UnknownVersion: Kind(404, "unknown_version"),
    UnknownNode: Kind(404, "unknown_node"),
    ChangeUnderWay: Kind(409, "change_under_way"),
    BodyTooLarge: Kind(413, "body_too_large"),
    ImageTooLarge: Kind(413, "image_too_large"),
    TooManyInputs: Kind(413, "too_many_inputs"),
    RequestTooLarge: Kind(413, "request_too_large"),
    RequestError: Kind(422, "invalid_request"),
    InvalidRequest: Kind(422, "invalid_request"),
    NoRouter: Kind(422, "no_router"),
    EmptyText: Kind(422, "empty_text"),
    UnreadableImage: Kind(422, "unreadable_image"),
    InputTooLong: Kind(422, "input_too_long"),
    Overloaded: Kind(429, "overloaded"),
    RungTooSmall: Kind(503, "rung_too_small"),
    Draining: Kind(503, "draining"),
    RungDoesNotFit: Kind(507, "rung_does_not_fit"),
    DeadlineExceeded: Kind(504, "deadline_exceeded"),
}
# What routing itself refuses.
_ROUTING = {404: Kind(404, "not_found"), 405: Kind(405, "method_not_allowed")}


def kind_of(error: Exception) -> Kind:
    """The error's row of the table; what is not in it is `internal`."""
    if isinstance(error, HTTPException):
        return _ROUTING.get(error.status_code, Kind(error.status_code, "http_error"))
    return KINDS.get(type(error), INTERNAL)


async def error_response(request: Request, error: Exception) -> Response:
    """`error` as a response. What nobody foresaw is logged, and told without its text."""
    kind, request_id = kind_of(error), request.state.request_id
    message, headers = str(error), {}
    if kind is INTERNAL:
        log.error("request %s failed", request_id, exc_info=error)
        message = "the server failed; its log tells why, under this request's id"
    elif isinstance(error, HTTPException):
        message = f"{error.detail}: {request.method} {request.url.path}"
        headers = dict(error.headers or {})
        if "Allow" in headers:
            message = f"{message} (it takes {headers['Allow']})"
    elif isinstance(error, Unavailable) and error.retry_after_s is not None:
        headers = {"Retry-After": str(error.retry_after_s)}
    elif isinstance(error, Unauthorized):
        headers = {"WWW-Authenticate": 'Bearer realm="mergeladder"'}
    request.state.error_type = kind.type
    if isinstance(error, RungTooSmall):
        request.state.least_rung = error.least  # another replica may have it (`serving.api.forwarding`)
    if request.url.path.startswith("/v2"):
        body: BaseModel = ProtocolError(error=message)
    else:
        param = getattr(error, "param", None)
        body = ErrorBody(error=ErrorDetail(type=kind.type, message=message, param=param, request_id=request_id))
    return Response(body.model_dump_json(), kind.status, headers, "application/json")
