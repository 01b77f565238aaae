"""What a server costs: CPU seconds and memory of a process and everything that it started."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Usage:
    """`cpu` seconds by process id; memory of all together in MiB, as if nothing else ran.

    A page of a file counts once, however many processes map it: the proportional set size would count it less, the more
    other servers and programs happen to map it, too.
    """

    cpu: dict[int, float]
    memory: float


def usage_of(pid: int) -> Usage:
    """Of the tree below `pid` now. Processes that end between two calls take their CPU time with them."""
    root = psutil.Process(pid)
    cpu, own = {}, 0
    files: dict[str, int] = {}  # the most that one process has in memory of each, in KiB
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
            maps = _maps(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError, ProcessLookupError):
            continue
        cpu[process.pid] = times.user + times.system
        own += maps.own
        for file, size in maps.files.items():
            files[file] = max(size, files.get(file, 0))
    return Usage(cpu, (own + sum(files.values())) / 1024)


def cpu_between(before: Usage, after: Usage) -> float:
    """CPU seconds that the tree took."""
    return sum(seconds - before.cpu.get(pid, 0.0) for pid, seconds in after.cpu.items())


@dataclass(frozen=True)
class _Maps:
    """In KiB: what is of no file, proportionally, and what is in memory of each file's pages as they are on disk."""

    own: int
    files: dict[str, int]


def _maps(pid: int) -> _Maps:
    own, files, file = 0, Counter[str](), ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split(maxsplit=5)
        if not first.endswith(":"):  # address, permissions, offset, device, inode, path
            file = rest[4] if len(rest) == 5 and rest[3] != "0" and not rest[4].startswith("/dev/shm") else ""
        elif first == "Pss:" and not file:
            own += int(rest[0])
        elif file and first == "Rss:":
            files[file] += int(rest[0])
        elif file and first == "Anonymous:":  # pages of the file that the process has changed
            files[file] -= int(rest[0])
            own += int(rest[0])
    return _Maps(own, dict(files))
