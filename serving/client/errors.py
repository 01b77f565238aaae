"""One exception for each type of error of the server, whether our application told it or a proxy before it."""

from merge_builder.errors import MergeLadderError


class MergeLadderApiError(MergeLadderError):
    """A call without an answer.

    `type` and `status` are the server's (None where no response came), `param` is the path of the offending part of
    the request, such as `inputs[2]`, and `request_id` finds the request in the server's log.
    """

    def __init__(
        self,
        type: str,
        message: str,
        param: str | None = None,
        request_id: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.message = message
        self.param = param
        self.request_id = request_id
        self.status = status


class MalformedJson(MergeLadderApiError):
    """The body was not JSON."""


class MalformedText(MergeLadderApiError):
    """A text was not valid UTF-8."""


class InvalidRequest(MergeLadderApiError):
    """The request does not fit the schema; `param` tells where."""


class Unauthorized(MergeLadderApiError):
    """The server asks for a key and got none, or one that it does not know."""


class Forbidden(MergeLadderApiError):
    """The key is not for this."""


class NotFound(MergeLadderApiError):
    """There is no such route: is the URL that of a MergeLadder server?"""


class MethodNotAllowed(MergeLadderApiError):
    """The route takes another method."""


class UnknownTask(MergeLadderApiError):
    """The ladder has no such task; the message tells the nearest."""


class UnknownVersion(MergeLadderApiError):
    """The ladder has another revision."""


class UnknownNode(MergeLadderApiError):
    """No replica is called so, nor runs on such a node."""


class ChangeUnderWay(MergeLadderApiError):
    """Another change of rung is not done yet."""


class RungDoesNotFit(MergeLadderApiError):
    """No rung, or not this one, fits into the memory that a node is to use."""


class NoRouter(MergeLadderApiError):
    """`tasks="auto"` needs a ladder with a router: `mergeladder tune --tuner neulig` trains one."""


class BodyTooLarge(MergeLadderApiError):
    """The request has too many bytes: send fewer inputs."""


class RequestTooLarge(MergeLadderApiError):
    """The request has too many tokens: send fewer inputs or ask fewer tasks."""


class TooManyInputs(MergeLadderApiError):
    """The request has too many inputs: split it."""


class EmptyText(MergeLadderApiError):
    """An input has no text."""


class UnreadableImage(MergeLadderApiError):
    """An image file is of no format that the server reads, damaged, cut off or animated."""


class ImageTooLarge(MergeLadderApiError):
    """An image has more pixels than the server decodes: send it smaller."""


class InputTooLong(MergeLadderApiError):
    """An input is longer than its task takes, and `truncate=False`."""


class Overloaded(MergeLadderApiError):
    """The queue is full, and was each time it was asked again."""


class RungTooSmall(MergeLadderApiError):
    """The server's current rung is smaller than `min_rung`."""


class Draining(MergeLadderApiError):
    """The server is shutting down."""


class Unavailable(MergeLadderApiError):
    """A proxy found no server behind it that takes the request."""


class DeadlineExceeded(MergeLadderApiError):
    """The answer did not come within the time that the call had."""


class ServerFailed(MergeLadderApiError):
    """The server failed; its log tells why, under `request_id`."""


class ConnectionFailed(MergeLadderApiError):
    """No server answers at the URL, or it hung up."""


class UnexpectedAnswer(MergeLadderApiError):
    """What came back is not what a MergeLadder server of this version sends."""


TYPES: dict[str, type[MergeLadderApiError]] = {
    "malformed_json": MalformedJson,
    "malformed_text": MalformedText,
    "invalid_request": InvalidRequest,
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "not_found": NotFound,
    "method_not_allowed": MethodNotAllowed,
    "unknown_task": UnknownTask,
    "unknown_version": UnknownVersion,
    "unknown_node": UnknownNode,
    "change_under_way": ChangeUnderWay,
    "rung_does_not_fit": RungDoesNotFit,
    "no_router": NoRouter,
    "body_too_large": BodyTooLarge,
    "request_too_large": RequestTooLarge,
    "image_too_large": ImageTooLarge,
    "too_many_inputs": TooManyInputs,
    "empty_text": EmptyText,
    "unreadable_image": UnreadableImage,
    "input_too_long": InputTooLong,
    "overloaded": Overloaded,
    "rung_too_small": RungTooSmall,
    "draining": Draining,
    "unavailable": Unavailable,
    "deadline_exceeded": DeadlineExceeded,
    "internal": ServerFailed,
    "connection_failed": ConnectionFailed,
    "unexpected_answer": UnexpectedAnswer,
}
# What a proxy, such as Ray Serve's, tells by its status alone.
_STATUSES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "deadline_exceeded",
    409: "change_under_way",
    413: "body_too_large",
    422: "invalid_request",
    429: "overloaded",
    500: "internal",
    502: "unavailable",
    503: "unavailable",
    504: "deadline_exceeded",
    507: "rung_does_not_fit",
}


def api_error(
    type: str | None, message: str, param: str | None = None, request_id: str | None = None, status: int | None = None
) -> MergeLadderApiError:
    """The exception for the server's `type`; where it is None or of a newer server, the one nearest to `status`."""
    nearest = _STATUSES.get(status or 0, "unexpected_answer")
    return TYPES.get(type or nearest, TYPES[nearest])(type or nearest, message, param, request_id, status)
