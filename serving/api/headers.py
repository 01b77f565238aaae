"""The response headers that tell of an answer, on every route that gives one."""

from serving.result import Result

RUNG = "X-MergeLadder-Rung"


def answer_headers(result: Result) -> dict[str, str]:
    """`X-MergeLadder-Rung`, and `Server-Timing` in milliseconds."""
    times = result.timings
    stages = {"queue": times.queue, "tokenize": times.tokenize, "inference": times.inference, "total": times.total}
    timing = ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in stages.items())
    return {RUNG: result.rung.name, "Server-Timing": timing}
