"""How many processors this process may use: its own affinity, or a cgroup's quota of their time where that is less."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from deploy.cgroups import groups_above


def processors(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """At least one; a quota of one and a half counts as one, as Ray counts it."""
    return max(1, math.floor(min([len(os.sched_getaffinity(0)), *_quotas(proc, cgroups)])))


def _quotas(proc: Path, cgroups: Path) -> Iterator[float]:
    for folder, version in groups_above("cpu", proc, cgroups):
        try:
            if version == 2:
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        except OSError:
            continue
        if quota not in ("max", "-1"):
            yield int(quota) / int(period)
