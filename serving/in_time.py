"""Whether a request can be answered in time, and when to come back if it cannot; all times are in seconds."""

from serving.errors import DeadlineExceeded, Overloaded

_SHORTEST_RETRY_S, _LONGEST_RETRY_S = 1, 24  # before the jitter, which adds up to a quarter
_WAIT = 0.5  # the share of its spare time that a request may be expected to wait: others come after it, speeds change


def check_in_time(left: float, own: float, ahead: float) -> None:
    """Refuse a request that has `left` and should take `own`, once what is `ahead` of it has been done.

    Raises:
        DeadlineExceeded: there would not be the time for it even if nothing were ahead.
        Overloaded: what is ahead takes too long.
    """
    if own > left:
        raise DeadlineExceeded(
            f"at this server's recent speed the request takes {own:.2g} s, and it has {max(left, 0):.2g} s: send fewer "
            "inputs, or allow more time"
        )
    if (excess := ahead - _WAIT * (left - own)) > 0:
        raise Overloaded(retry_after(excess), "there is too much ahead of the request for the time that it has")


def retry_after(seconds: float) -> float:
    """`seconds` within bounds, for a client that is turned away."""
    return min(max(seconds, _SHORTEST_RETRY_S), _LONGEST_RETRY_S)
