"""Which rung a server takes, and why, in one sentence.

decide(manifest, Sizing(budget="300MiB"), probe_memory("cpu")).reason
"rung #37 (2.00x, 290.1 MiB): the largest within the stated budget of 300.0 MiB"
"""

from dataclasses import dataclass

from deploy.memory import Memory
from merge_builder.errors import InputError
from merge_builder.ladder import Manifest, RungSize, choose, format_bytes, parse_bytes, select

# What is left alone of a device's free memory: the largest batch's activations and the rest of the process.
FRACTION = 0.8


@dataclass(frozen=True)
class Sizing:
    """What the operator asked for: a budget or a rung; neither means that the device's memory decides."""

    budget: str | None = None
    rung: str | None = None


@dataclass(frozen=True)
class Decision:
    """The rung to serve, the bytes that it had to fit into (None where a rung was named) and the reason."""

    rung: RungSize
    budget: int | None
    reason: str


def decide(manifest: Manifest, sizing: Sizing, memory: Memory) -> Decision:
    """The largest rung that `sizing` allows, or else what is free in `memory`, less some head-room.

    Raises:
        InputError: budget and rung are both given, one of them cannot be read, or no rung fits; then the message
            names the smallest budget that would do.
    """
    if sizing.rung is not None and sizing.budget is not None:
        raise InputError("a budget and a rung were both given: a budget chooses the rung, so leave one of them out")
    if sizing.rung is not None:
        rung = select(manifest, sizing.rung)
        return Decision(rung, None, f"{_name(rung)}: the operator named {sizing.rung}")
    if sizing.budget is not None:
        return _within(manifest, parse_bytes(sizing.budget), "the stated budget")
    return _within(manifest, int(memory.free * FRACTION), f"a budget by {memory.source} (x {FRACTION})")


def _within(manifest: Manifest, budget: int, source: str) -> Decision:
    rung = choose(manifest, budget)
    return Decision(rung, budget, f"{_name(rung)}: the largest within {source} of {format_bytes(budget)}")


def _name(rung: RungSize) -> str:
    return f"rung #{rung.index} ({rung.ratio:.2f}x, {format_bytes(rung.bytes)})"
