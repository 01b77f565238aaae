"""What a server's reply means: a typed answer, or one of `serving.client.errors`. Nothing here touches the network."""

from typing import TypeVar

import httpx
from pydantic import ValidationError

from serving.api.schemas.errors import ErrorBody
from serving.client.calls import Call
from serving.client.errors import ConnectionFailed, DeadlineExceeded, MergeLadderApiError, UnexpectedAnswer, api_error
from serving.client.retries import Reply

T = TypeVar("T")
_LONGEST_MESSAGE = 200


def final(call: Call[T], reply: Reply, url: str, timeout: float) -> T:
    """The typed answer that a call ended with.

    Raises:
        MergeLadderApiError: it ended without.
    """
    if isinstance(reply, httpx.Response) and reply.is_success:
        try:
            return call.read(reply.content)
        except ValidationError as error:
            raise unexpected(call, reply) from error
    raise failure(reply, url, timeout)


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
