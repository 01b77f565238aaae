"""The weights that one task has of a masked version, made when a leaf asks for them: base + rescaler * mask * unified.

They are made tensor by tensor into buffers that are used again for the next, one for each parameter role (`weight`,
`bias`), so what a task needs of its own in memory is a bit a weight. Of an embedding table only the rows that a batch
looks up are made. See `merge_builder.ladder.masked` for what is stored.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from merge_builder.ladder import Rung, Version
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.masked import RESCALERS, masks_of
from serving.engine.linear import Stored

# Weights made at a time: the buffer of their unpacked bits stays in the cache.
_STRETCH = 1 << 17


class Scratch:
    """The reused buffers, float32, and the seconds spent on filling them."""

    def __init__(self, tensors: Iterable[TensorSpec], tables: Collection[str], device: str) -> None:
        """Make room for any one of `tensors` in each parameter role; of `tables` only rows are looked up."""
        sizes: dict[str, int] = {}
        for tensor in tensors:
            if not (tensor.name in tables and _rows_fill_bytes(tensor.shape)):
                role = _role(tensor.name)
                sizes[role] = max(prod(tensor.shape), sizes.get(role, 0))
        longest = min(_STRETCH, -(-max(sizes.values(), default=0) // 8) * 8)
        self._buffers = {role: torch.empty(size, device=device) for role, size in sizes.items()}
        self._mask = torch.empty(longest // 8, 8, device=device)
        self._index = torch.empty(longest // 8, dtype=torch.int32, device=device)
        # The eight bits of every byte, the lowest first.
        self._bits = ((torch.arange(256)[:, None] >> torch.arange(8)) & 1).to(device, torch.float32)
        self._seconds = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum(t.nbytes for t in (*self._buffers.values(), self._mask, self._index, self._bits))

    def take_seconds(self) -> float:
        """The seconds spent since the last call; on a GPU, those that the host spent on giving the work out."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time inside as spent on reconstruction."""
        begin = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - begin

    def fill(self, role: str, base: Tensor, unified: Tensor, packed: Tensor, rescaler: float) -> Tensor:
        """The weights, in the role's buffer until it is filled again; `packed` is the mask, uint8 [ceil(size / 8)]."""
        size = base.numel()
        out, base, unified = self._buffers[role][:size], base.view(-1), unified.view(-1)
        for start in range(0, size, _STRETCH):
            stop = min(start + _STRETCH, size)
            count = -(-(stop - start) // 8)
            index, mask = self._index[:count], self._mask[:count]
            index.copy_(packed[start // 8 : start // 8 + count])
            torch.index_select(self._bits, 0, index, out=mask)
            part = mask.view(-1)[: stop - start]
            torch.addcmul(base[start:stop], part, unified[start:stop], value=rescaler, out=out[start:stop])
        return out

    def unpack(self, packed: Tensor) -> Tensor:
        """Bits of bytes [..., n] as float32 [..., 8n], in memory of their own."""
        return self._bits[packed.int()].flatten(-2)


@dataclass(frozen=True)
class MaskedWeights:
    """One task's weights of one block. `stored` is the masked version, `base` the block's base, `row` the task's."""

    stored: Mapping[str, Tensor]
    base: Mapping[str, Tensor]
    row: int
    rescaler: float
    scratch: Scratch

    def __getitem__(self, name: str) -> Tensor:
        """The tensor `name`, float32; it is overwritten by the next one of the same role (`weight`, `bias`)."""
        base = self.base[name]
        with self.scratch.timed():
            packed = self.stored[masks_of(name)][self.row]
            return self.scratch.fill(_role(name), base, self.stored[name], packed, self.rescaler).view(base.shape)

    def look_up(self, name: str, rows: Tensor) -> Tensor:
        """Rows of the table `name` of width w, float32 [*rows.shape, w], made for themselves where they fill bytes."""
        base, unified = self.base[name], self.stored[name]
        if not _rows_fill_bytes(base.shape):
            return F.embedding(rows, self[name])
        with self.scratch.timed():
            packed = self.stored[masks_of(name)][self.row].view(len(base), -1)
            mask = self.scratch.unpack(packed[rows])
            return torch.addcmul(base[rows].float(), mask, unified[rows], value=self.rescaler)


def id_for(version: Version, task: str) -> str:
    """What a task's weights go by in the engine: tasks of one masked version have weights of their own."""
    return f"{version.id}/{task}" if version.kind == "masked" else version.id


def weights_in_use(
    rung: Rung, held: Mapping[tuple[str, str], Stored], scratch: Scratch | None
) -> dict[tuple[str, str], Stored | MaskedWeights]:
    """The rung's weights by (block, `id_for`), from the versions `held` by (block, version id)."""
    weights: dict[tuple[str, str], Stored | MaskedWeights] = {}
    for block, tasks in rung.versions.items():
        for task, version in tasks.items():
            stored = held[block, version.id]
            weights[block, id_for(version, task)] = stored
            if version.kind == "masked":
                assert scratch is not None
                row = version.tasks.index(task)
                made_of, base = (_plain(held[block, v.id]) for v in (version, rung.bases[block]))
                rescaler = float(made_of[RESCALERS][row])
                weights[block, id_for(version, task)] = MaskedWeights(made_of, base, row, rescaler, scratch)
    return weights


def _plain(stored: Stored) -> dict[str, Tensor]:
    """What is not quantised, which is all that masked versions are made of."""
    return {name: tensor for name, tensor in stored.items() if isinstance(tensor, Tensor)}


def _rows_fill_bytes(shape: Sequence[int]) -> bool:
    """Whether a table's rows are whole bytes of its mask, so that single rows can be made."""
    return shape[-1] % 8 == 0


def _role(name: str) -> str:
    return name.rpartition(".")[2]
