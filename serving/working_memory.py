"""What batches need beside the weights, as the process or the device tells it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.engine.engine import Engine


class WorkingMemory:
    """Of a process with one engine; make it before the first batch.

    On a GPU: all that torch has taken of it, less the weights. On the CPU: by how much the process's own memory has
    grown since, less what changes of rung made of that. Batches keep what they once needed (on the CPU see
    `serving.engine.allocator`), so it is the most that they have needed since the last change of rung.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._bare = 0 if engine.device.startswith("cuda") else _own_bytes() - engine.bytes_private

    def bytes(self) -> int:
        """How much it is now."""
        engine = self._engine
        if engine.device.startswith("cuda"):
            import torch

            return max(0, torch.cuda.memory_reserved(engine.device) - sum(engine.bytes_loaded.values()))
        return max(0, _own_bytes() - engine.bytes_private - self._bare)


def _own_bytes() -> int:
    """What of this process is in memory and neither mapped from a file nor shared."""
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
