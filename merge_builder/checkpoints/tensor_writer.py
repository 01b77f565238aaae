"""A safetensors file written as a stream: nothing is held back, and the name appears only when it is whole."""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints.dtypes import numpy_dtype
from merge_builder.ladder.fields import TensorSpec


def header_bytes(tensors: Iterable[TensorSpec]) -> bytes:
    """The length, and the JSON header padded to eight bytes, of a file that holds `tensors` in this order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        begin, end = end, end + payload_bytes(tensor)
        header[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def payload_bytes(tensor: TensorSpec) -> int:
    """The bytes of a tensor's values."""
    return prod(tensor.shape) * numpy_dtype(tensor.dtype).itemsize


class TensorWriter:
    """Write the values of `tensors` one after the other; `finish` puts the file under its name.

    Use it in a `with`: an error inside leaves no file behind.
    """

    def __init__(self, path: Path, tensors: Sequence[TensorSpec]) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.partial")
        self._hash = hashlib.sha256()
        self._left = sum(payload_bytes(tensor) for tensor in tensors)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("wb")
        self._put(header_bytes(tensors))

    def __enter__(self) -> "TensorWriter":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            self._temporary.unlink()

    def write(self, values: NDArray[Any]) -> None:
        """Append `values`, contiguous and in the stored dtype."""
        view = values.reshape(-1).view(np.uint8).data
        self._left -= len(view)
        self._put(view)

    def finish(self) -> str:
        """Sync, rename, and return the file's sha256."""
        if self._left:
            raise ValueError(f"{self._path}: {self._left} bytes of the declared tensors were not written")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._temporary.replace(self._path)
        return self._hash.hexdigest()

    def _put(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self._file.write(data)
