"""How much memory this process may still take on a device, and how we know.

    probe_memory("cpu")     Memory(free=..., source="the cgroup's limit (memory.max)")

CPU: the tightest cgroup limit above this process (v2 or v1) less what cannot be reclaimed there, or the machine's
available memory, whichever is less. Cached files can be reclaimed; weights that are mapped from their files are such.
CUDA: free memory once the context exists.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.cgroups import groups_above

UNLIMITED = 1 << 60
# By the version of cgroups: the files of the limit and the usage, and what the keys of memory.stat begin with.
_NAMES = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"), 2: ("memory.max", "memory.current", "")}


@dataclass(frozen=True)
class Memory:
    """`free` bytes that may still be taken; `source` tells people where the figure comes from."""

    free: int
    source: str


def probe_memory(device: str) -> Memory:
    """What is free on `device` ("cpu", "cuda", "cuda:1")."""
    return _cuda_memory(device) if device.startswith("cuda") else cpu_memory(Path("/proc"), Path("/sys/fs/cgroup"))


def free_for_weights(device: str, held: int) -> Memory:
    """What is free on `device`, and the `held` bytes of weights that would be free without them."""
    memory = probe_memory(device)
    return Memory(memory.free + held, memory.source)


def cpu_memory(proc: Path, cgroups: Path) -> Memory:
    """The least of the machine's available memory and what every cgroup above this process leaves.

    `proc` and `cgroups` are where procfs and the cgroup file system are mounted.
    """
    machine = Memory(_available(proc / "meminfo"), "the machine's available memory")
    return min([machine, *_cgroup_memory(proc, cgroups)], key=lambda memory: memory.free)


def _cuda_memory(device: str) -> Memory:
    import torch

    torch.zeros(1, device=device)  # makes the context, whose memory is gone before we look
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return Memory(free, f"the free memory of {torch.cuda.get_device_name(device)}")


def _available(meminfo: Path) -> int:
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{meminfo} has no MemAvailable")


def _cgroup_memory(proc: Path, cgroups: Path) -> Iterator[Memory]:
    """What every limited cgroup that holds this process leaves, innermost first."""
    for folder, version in groups_above("memory", proc, cgroups):
        limit_name, usage_name, prefix = _NAMES[version]
        try:
            limit = (folder / limit_name).read_text().strip()
            usage = int((folder / usage_name).read_text())
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except OSError:
            continue
        if limit != "max" and int(limit) < UNLIMITED:
            cached = sum(int(statistics.get(f"{prefix}{kind}_file", 0)) for kind in ("inactive", "active"))
            used = usage - cached
            yield Memory(max(0, int(limit) - used), f"the cgroup's limit ({limit_name})")
