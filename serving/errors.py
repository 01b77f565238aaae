"""Why a request is not answered, whatever the transport: each error names the offending part of the request.

`serving.api.errors` gives each its HTTP status.
"""

import math
import random

from merge_builder.errors import InputError, MergeLadderError


class RequestError(InputError):
    """The request is wrong; `param` is the path of the offending part, such as `inputs[2]` or `parameters.min_rung`."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownTask(RequestError):
    """The ladder has no such task."""


class EmptyText(RequestError):
    """A text has no characters but white space, or a row of token ids has no token."""


class InputTooLong(RequestError):
    """An input has more tokens than its task takes, and truncation was not allowed."""


class UnreadableImage(RequestError):
    """An image file is of no format that is read, damaged, cut off or animated."""


class ImageTooLarge(RequestError):
    """An image has more pixels than are decoded."""


class TooManyInputs(RequestError):
    """The request has more inputs than the server takes at once."""


class RequestTooLarge(RequestError):
    """The request has more tokens, over all its tasks, or more pixels than the server takes at once.

    No retry would help.
    """


class Unavailable(MergeLadderError):
    """The request is right, but this server cannot answer it now; `param` as in RequestError."""

    def __init__(self, message: str, param: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """The queue is full, or too long for the request; that should be over in about `seconds`."""

    def __init__(self, seconds: float, why: str = "the queue is full") -> None:
        retry = _jittered(seconds)
        super().__init__(f"{why}: try again in {retry} s", retry_after_s=retry)


class RungTooSmall(Unavailable):
    """The current rung is smaller than the request, or a task's floor, allows, or there is none; rungs change seldom.

    `least` is the index of the smallest rung that would do.
    """

    def __init__(self, message: str, param: str | None, least: int) -> None:
        super().__init__(message, param, _jittered(24))
        self.least = least


class Draining(Unavailable):
    """The server is shutting down and takes no new work."""

    def __init__(self) -> None:
        super().__init__("this server is shutting down: ask another one, or try again", retry_after_s=_jittered(4))


class ChangeUnderWay(Unavailable):
    """Another change of rung is not done yet."""


class UnknownNode(RequestError):
    """No replica is called so, nor runs on such a node."""


class RungDoesNotFit(RequestError):
    """No rung, or not this one, fits into the memory that a node is to use."""


class DeadlineExceeded(Unavailable):
    """The request's time was, or would be, up before it is answered; what was not yet computed never is."""


def _jittered(seconds: float) -> int:
    """`seconds` and up to a quarter or one second more, so that clients turned away at once do not return at once."""
    least = math.ceil(seconds)
    return random.randint(least, least + max(1, least // 4))
