"""A safetensors file whose tensors are written piece by piece in any order; the name appears only when it is whole."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints.files import sha256_of
from merge_builder.checkpoints.tensor_writer import header_bytes, payload_bytes
from merge_builder.ladder.fields import TensorSpec


class PlacedWriter:
    """Put pieces of `tensors` at their places; `finish` puts the file under its name.

    Use it in a `with`: an error inside leaves no file behind.
    """

    def __init__(self, path: Path, tensors: Sequence[TensorSpec]) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.partial")
        header, self._begin = header_bytes(tensors), dict[str, int]()
        end = len(header)
        for tensor in tensors:
            self._begin[tensor.name] = end
            end += payload_bytes(tensor)
        self._left = end - len(header)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("wb", buffering=0)
        self._put(header, 0)

    def __enter__(self) -> "PlacedWriter":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            self._temporary.unlink()

    def write(self, name: str, offset: int, values: NDArray[Any]) -> None:
        """Put `values`, contiguous and in the stored dtype, at `offset` bytes into the tensor `name`."""
        view = values.reshape(-1).view(np.uint8).data
        self._left -= len(view)
        self._put(view, self._begin[name] + offset)

    def finish(self) -> str:
        """Sync, rename, and return the file's sha256."""
        if self._left:
            raise ValueError(f"{self._path}: {self._left} bytes of the declared tensors were not written")
        os.fsync(self._file.fileno())
        digest = sha256_of(self._temporary)
        self._temporary.replace(self._path)
        return digest

    def _put(self, data: bytes | memoryview, offset: int) -> None:
        view = memoryview(data)
        while len(view):
            count = os.pwrite(self._file.fileno(), view, offset)
            view, offset = view[count:], offset + count
