"""The tensors that a rung serves one task with, opened lazily, whatever their versions are stored as."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints import Readable, StoredTensor
from merge_builder.checkpoints.dtypes import cast, numpy_dtype
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError, MergeLadderError
from merge_builder.ladder.masked import RESCALERS, masks_of, reconstruct
from merge_builder.ladder.rungs import Rung
from merge_builder.ladder.store import Ladder


@dataclass(frozen=True)
class MaskedTensor:
    """One task's tensor of a masked version: read like a `StoredTensor`, reconstructed as it is read.

    It has the dtype of the unified vector. `masks` is that of all the version's tasks; the task's is row `row`.
    """

    base: StoredTensor
    unified: StoredTensor
    masks: StoredTensor
    row: int
    rescaler: np.float32

    @property
    def dtype(self) -> str:
        """By safetensors' name."""
        return self.unified.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's own shape."""
        return self.unified.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Payload bytes, once reconstructed."""
        return self.size * numpy_dtype(self.dtype).itemsize

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Elements `start` to `stop` of the flattened tensor, in its own dtype.

        Raises:
            InputError: a file ended early.
        """
        stop = self.size if stop is None else stop
        first, begin = start // 8, self.row * self.masks.shape[1]
        bits = self.masks.read(begin + first, begin + -(-stop // 8))
        mask = np.unpackbits(bits, bitorder="little")[start - 8 * first : stop - 8 * first]
        weights = reconstruct(self.base.read(start, stop), self.unified.read(start, stop), mask, self.rescaler)
        return cast(weights, self.dtype)


@contextmanager
def open_task(ladder: Ladder, rung: Rung, task: str) -> Iterator[Mapping[str, Readable]]:
    """Every tensor of the task's encoder and head by its canonical name; files are closed at the end of the `with`.

    Raises:
        MergeLadderError: a stored file is missing or damaged.
    """
    with ExitStack() as stack:

        def tensors_of(path: Path) -> Mapping[str, StoredTensor]:
            file = _open_stored(path)
            stack.callback(file.close)
            return file.tensors

        tensors: dict[str, Readable] = {}
        for block in ladder.manifest.blocks:
            version = rung.versions[block.name][task]
            stored = tensors_of(ladder.version_path(version))
            if version.kind == "masked":
                base, row = tensors_of(ladder.version_path(rung.bases[block.name])), version.tasks.index(task)
                tensors.update(_masked_tensors(base, stored, row))
            else:
                tensors.update(stored)
        tensors.update(tensors_of(ladder.head_path(task)))
        yield tensors


def _masked_tensors(
    base: Mapping[str, StoredTensor], stored: Mapping[str, StoredTensor], row: int
) -> dict[str, MaskedTensor]:
    rescaler = stored[RESCALERS].read(row, row + 1)[0]
    return {
        name: MaskedTensor(origin, stored[name], stored[masks_of(name)], row, rescaler) for name, origin in base.items()
    }


def _open_stored(path: Path) -> TensorFile:
    try:
        return TensorFile(path)
    except InputError as error:
        raise MergeLadderError(f"the ladder is damaged: {error} (run `mergeladder verify`)") from error
