"""When to ask again: after 429, 503 and lost connections, as `Retry-After` says, within the time of the call.

All calls of the interface compute and change nothing, so each may be sent again.
"""

import random
import time
from email.utils import parsedate_to_datetime

import httpx

from serving.client.errors import Draining, MergeLadderApiError, Overloaded, RungTooSmall

_STATUSES = (429, 503)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 8.0
_JITTER = 0.25  # of the pause, so that clients who were refused together do not come back together

Reply = httpx.Response | httpx.RequestError | MergeLadderApiError  # the last is an error that broke a stream


class Retries:
    """The clock of one call: at most `most` retries, all within `timeout` seconds."""

    def __init__(self, timeout: float, most: int) -> None:
        self._end = time.monotonic() + timeout
        self._most = most
        self._done = 0

    def left(self) -> float:
        """Seconds that the call still has, never none."""
        return max(0.001, self._end - time.monotonic())

    def pause_after(self, reply: Reply) -> float | None:
        """Seconds to wait before the request is sent again; None if `reply` is final."""
        if not _passing(reply) or self._done == self._most:
            return None
        asked = retry_after(reply) if isinstance(reply, httpx.Response) else None
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**self._done) if asked is None else asked
        pause *= 1 + _JITTER * random.random()
        if pause >= self.left():
            return None
        self._done += 1
        return pause


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the header `Retry-After` asks for, told as a number or as a date (RFC 9110, 10.2.3)."""
    told = response.headers.get("Retry-After", "")
    if told.isdecimal():
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return None


def _passing(reply: Reply) -> bool:
    """Whether another attempt may fare better."""
    if isinstance(reply, httpx.Response):
        return reply.status_code in _STATUSES
    if isinstance(reply, MergeLadderApiError):
        return isinstance(reply, Overloaded | Draining | RungTooSmall)
    return isinstance(reply, httpx.NetworkError | httpx.RemoteProtocolError)
