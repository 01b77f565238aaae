"""What batches need beside the weights, as the process or the device tells it."""

from typing import TYPE_CHECKING

from serving.engine.allocator import own_bytes

if TYPE_CHECKING:
    from serving.engine.engine import Engine


class WorkingMemory:
    """Of a process with one engine; make it before the first batch.

    On a GPU: all that torch has taken of it, less the weights. On the CPU: by how much the process's own memory has
    grown since, less what changes of rung made of that. Batches keep what they once needed, on the CPU for a while
    (`serving.engine.allocator`), so it is about the most that they have needed lately.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._bare = 0 if engine.device.startswith("cuda") else own_bytes() - engine.bytes_private

    def bytes(self) -> int:
        """How much it is now."""
        engine = self._engine
        if engine.device.startswith("cuda"):
            import torch

            return max(0, torch.cuda.memory_reserved(engine.device) - sum(engine.bytes_loaded.values()))
        return max(0, own_bytes() - engine.bytes_private - self._bare)
