"""Whole processes, measured by the operating system: CPU seconds, wall seconds and peak memory."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("mergeladder"))


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds, and the peak resident memory in MB (mapped files count)."""

    cpu: float
    wall: float
    memory: float


def measure(command: Sequence[str | Path], runs: int = 1, clean: Path | None = None) -> Cost:
    """The median of each figure over `runs`; `clean` is removed before every run.

    Raises:
        RuntimeError: the command failed.
    """
    return median([_once(command, clean) for _ in range(runs)])


def median(costs: Sequence[Cost]) -> Cost:
    """That of each figure."""
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in ("cpu", "wall", "memory")))


def _once(command: Sequence[str | Path], clean: Path | None) -> Cost:
    if clean is not None:
        subprocess.run(["rm", "-rf", clean], check=True)
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{' '.join(map(str, command))}: {errors.decode()[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - start, usage.ru_maxrss / 1024)


def row(name: str, cost: Cost) -> str:
    """A line of a table."""
    return f"{name:<44} {cost.cpu:8.1f} CPU-s {cost.wall:8.1f} s {cost.memory:8.0f} MB"
