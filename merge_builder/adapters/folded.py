"""Tensors of an adapter's model, made from the base's when a range of them is read: never a whole dense model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints import StoredTensor
from merge_builder.checkpoints.dtypes import cast
from merge_builder.checkpoints.tensor_file import TensorFile

# Elements of a product made at a time, so that it stays in the cache while the ranks are summed.
_STRIP = 1 << 16
# The change of a base tensor: (its values in fp32, start, stop) -> the expert's values. Works in place.
Change = Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]


@dataclass(frozen=True)
class FoldedTensor:
    """The base's tensor with `change` applied in fp32, in the base's dtype; `file` is the adapter's."""

    base: StoredTensor
    change: Change
    file: TensorFile
    name: str

    @property
    def dtype(self) -> str:
        """The base's."""
        return self.base.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The base's."""
        return self.base.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.base.size

    @property
    def nbytes(self) -> int:
        """Payload bytes, as if it were stored."""
        return self.base.nbytes

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Elements `start` to `stop` of the flattened tensor, as a fresh array."""
        end = self.size if stop is None else stop
        values = self.base.read(start, end).astype(np.float32, copy=False)
        return cast(self.change(values, start, end), self.dtype)


@dataclass(frozen=True)
class LowRank:
    """Add factor * B @ A to a matrix of `rows` by `columns`: LoRA, arXiv 2106.09685.

    A is [rank, inner], B is [outer, rank], up to axes of size one and, for convolutions, flattened inner axes.
    `transposed`: the matrix lies as [inner, outer], as embeddings do.
    """

    a: StoredTensor
    b: StoredTensor
    rank: int
    rows: int
    columns: int
    factor: float
    transposed: bool

    def __call__(self, values: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        """`values` of the elements `start` to `stop`, changed in place."""
        first, last = start // self.columns, -(-stop // self.columns)
        left, right = self._factors(first, last)
        height = max(1, _STRIP // self.columns)
        for row in range(first, last, height):
            strip = self._product(left[row - first : row - first + height], right)
            begin = max(start, row * self.columns)
            end = min(stop, row * self.columns + strip.size)
            values[begin - start : end - start] += strip[begin - row * self.columns : end - row * self.columns]
        return values

    def _product(self, left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
        # Rank by rank: a matrix product rounds differently with the range and the machine, and bytes must not.
        product = np.zeros((len(left), self.columns), np.float32)
        term = np.empty_like(product)
        for k in range(self.rank):
            np.multiply(left[:, k : k + 1], right[k], out=term)
            product += term
        product *= np.float32(self.factor)
        return product.reshape(-1)

    def _factors(self, first: int, last: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows `first` to `last` of the left factor [rows, rank], and the right factor [rank, columns]."""
        if not self.transposed:
            left = _fp32(self.b, first * self.rank, last * self.rank).reshape(-1, self.rank)
            return left, _fp32(self.a).reshape(self.rank, self.columns)
        chosen = [_fp32(self.a, k * self.rows + first, k * self.rows + last) for k in range(self.rank)]
        right = _fp32(self.b).reshape(self.columns, self.rank).T
        return np.stack(chosen, axis=1), np.ascontiguousarray(right)


@dataclass(frozen=True)
class Rescaled:
    """Multiply every row, or every column, by its own number: (IA)3, arXiv 2205.05638."""

    scales: StoredTensor
    columns: int
    by_row: bool

    def __call__(self, values: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        """`values` of the elements `start` to `stop`, changed in place."""
        places = np.arange(start, stop)
        values *= _fp32(self.scales)[places // self.columns if self.by_row else places % self.columns]
        return values


def _fp32(tensor: StoredTensor, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
    return tensor.read(start, stop).astype(np.float32, copy=False)
