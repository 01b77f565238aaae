"""A safetensors file read lazily: the header once, then any range of any tensor by `pread`.

`pread` keeps memory to the range that was asked for: mapped pages would count as ours.
Format: https://huggingface.co/docs/safetensors (8-byte header length, JSON header, tensors end to end).
"""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints.dtypes import numpy_dtype
from merge_builder.errors import InputError

_MAX_HEADER = 100_000_000  # the bound of the safetensors library itself


@dataclass(frozen=True)
class FileTensor:
    """A tensor inside an open file: `begin` is its absolute offset, sizes are in elements unless named bytes."""

    file: "TensorFile"
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Payload bytes."""
        return self.size * numpy_dtype(self.dtype).itemsize

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Elements `start` to `stop` of the flattened tensor, in its own dtype, as a fresh array.

        Raises:
            InputError: the file ended early.
        """
        item = numpy_dtype(self.dtype)
        count = (self.size if stop is None else stop) - start
        out = np.empty(count, item)
        self.file.fill(out.view(np.uint8).data, self.begin + start * item.itemsize)
        return out


class TensorFile:
    """An open safetensors file. Threads may read at once: `pread` moves no shared position."""

    def __init__(self, path: Path) -> None:
        """Open `path` and check its header against the file's size, which is kept as `nbytes`.

        Raises:
            InputError: unreadable, not safetensors, or cut short.
        """
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        try:
            self.nbytes = os.fstat(self._fd).st_size
            self.tensors: Mapping[str, FileTensor] = MappingProxyType(self._parse_header())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def fill(self, view: memoryview, offset: int) -> None:
        """Fill `view` with the bytes at `offset`."""
        while len(view):
            count = os.preadv(self._fd, [view], offset)
            if count == 0:
                raise InputError(f"{self.path} ended early: it was cut short while it was read")
            view, offset = view[count:], offset + count

    def _parse_header(self) -> dict[str, FileTensor]:
        size = self.nbytes
        length = struct.unpack("<Q", os.pread(self._fd, 8, 0))[0] if size >= 8 else _MAX_HEADER + 1
        if length > min(_MAX_HEADER, size - 8):
            raise InputError(f"{self.path} is not a whole safetensors file: its header does not fit into {size} bytes")
        try:
            header = json.loads(os.pread(self._fd, length, 8))
            header.pop("__metadata__", None)
            tensors, end = {}, 0
            for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
                begin, stop = entry["data_offsets"]
                tensor = FileTensor(self, name, entry["dtype"], tuple(entry["shape"]), 8 + length + begin)
                if begin != end or stop - begin != tensor.nbytes:
                    raise InputError(f"{self.path}: the offsets of {name!r} do not fit its dtype and shape")
                tensors[name], end = tensor, stop
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{self.path} is not a safetensors file: its header is malformed") from error
        if 8 + length + end != size:
            raise InputError(f"{self.path} is cut short or damaged: {size} bytes, its header tells {8 + length + end}")
        return tensors
