"""Which rung a server takes, and why, in one sentence.

decide(manifest, Sizing(budget="300MiB"), probe_memory("cpu")).reason
"rung #37 (2.00x, 290.1 MiB): the largest within the stated budget of 300.0 MiB"
"""

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from deploy.memory import Memory
from merge_builder.errors import InputError
from merge_builder.ladder import Manifest, RungSize, choose, format_bytes, parse_bytes, select

# What is left alone of a device's free memory unless the operator says otherwise: it may be wanted by others, and the
# rest of the process grows a little.
FRACTION = 0.8


class Sizing(BaseModel):
    """What the operator asked for: a budget or a rung; neither means that the device's memory decides.

    A budget is bytes for the weights, such as "300MiB", or a share of what is free on the device, such as "0.8".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)
    budget: str | None = None
    rung: str | None = None


@dataclass(frozen=True)
class Decision:
    """The rung to serve, the stored bytes that it had to fit into (None where a rung was named) and the reason."""

    rung: RungSize
    budget: int | None
    reason: str


def decide(manifest: Manifest, sizing: Sizing, memory: Memory, workspace: int = 0, expansion: float = 1.0) -> Decision:
    """The largest rung that `sizing` allows, or else a share of what is free in `memory`, less the `workspace`.

    `workspace` is what the largest batch needs beside the weights, in bytes; a budget stated in bytes is for the
    weights alone. `expansion` is how many times their stored bytes weights take on the device: 2 for 16-bit weights
    where they compute in 32 bits.

    Raises:
        InputError: budget and rung are both given, one of them cannot be read, or no rung fits; then the message
            names the smallest budget that would do.
    """
    if sizing.rung is not None and sizing.budget is not None:
        raise InputError("a budget and a rung were both given: a budget chooses the rung, so leave one of them out")
    if sizing.rung is not None:
        rung = select(manifest, sizing.rung)
        return Decision(rung, None, f"{_name(rung)}: the operator named {sizing.rung}")
    share = FRACTION if sizing.budget is None else _share(sizing.budget)
    if share is None:
        assert sizing.budget is not None
        return _within(manifest, parse_bytes(sizing.budget), "the stated budget", expansion)
    budget = int(memory.free * share) - workspace
    return _within(manifest, budget, f"a budget by {memory.source} (x {share:g})", expansion)


def needs_memory(sizing: Sizing) -> bool:
    """Whether the device's free memory has a say, so that it is worth looking at."""
    return sizing.rung is None and (sizing.budget is None or _share(sizing.budget) is not None)


def _share(budget: str) -> float | None:
    """`"0.8"` as a share of the memory; a whole number is of bytes."""
    return float(budget) if re.fullmatch(r"0?\.\d*[1-9]\d*|1\.0+", budget.strip()) else None


def _within(manifest: Manifest, budget: int, source: str, expansion: float) -> Decision:
    stored = max(int(budget / expansion), 0)
    rung = choose(manifest, stored)
    grown = "" if expansion == 1.0 else f"; weights take {expansion:.2g} times their stored bytes here"
    return Decision(rung, stored, f"{_name(rung)}: the largest within {source} of {format_bytes(budget)}{grown}")


def _name(rung: RungSize) -> str:
    return f"rung #{rung.index} ({rung.ratio:.2f}x, {format_bytes(rung.bytes)})"
