"""W3C trace context: a caller's `traceparent` is read, logged and sent back, with this request as the parent.

https://www.w3.org/TR/trace-context. A trace is never begun here: a request without one has its request id.
"""

import random
import re
from dataclasses import dataclass

HEADER = "traceparent"
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True)
class Trace:
    """The trace that a request belongs to, and the request's own place in it."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def header(self) -> str:
        """As a `traceparent` of version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def read_trace(told: str | None) -> Trace | None:
    """The trace that the header names, with a new place in it; None if there is none or it is not valid."""
    match = _TRACEPARENT.fullmatch(told or "")
    if not match or (match[1] == "00" and match[4]):
        return None
    return Trace(match[2], f"{random.getrandbits(64) or 1:016x}", match[3])
