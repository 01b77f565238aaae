"""What a server costs: CPU seconds and proportional memory of a process and everything that it started."""

from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Usage:
    """`cpu` seconds by process id; proportional memory of all in MiB: a page that n processes map counts 1/n."""

    cpu: dict[int, float]
    memory: float


def usage_of(pid: int) -> Usage:
    """Of the tree below `pid` now. Processes that end between two calls take their CPU time with them."""
    root = psutil.Process(pid)
    cpu, memory = {}, 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
            cpu[process.pid] = times.user + times.system
            memory += _proportional(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError, ProcessLookupError):
            continue
    return Usage(cpu, memory)


def cpu_between(before: Usage, after: Usage) -> float:
    """CPU seconds that the tree took."""
    return sum(seconds - before.cpu.get(pid, 0.0) for pid, seconds in after.cpu.items())


def _proportional(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
