"""Inputs end to end, as a family's `embed` takes them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serving.engine.plan import Slice
from serving.engine.types import Encoded, Image

Grid = tuple[int, int]  # rows and columns of patches


@dataclass(frozen=True)
class PackedText:
    """Int64 tensors of shape (1, tokens)."""

    input_ids: Tensor
    token_type_ids: Tensor
    positions: Tensor


def pack_text(inputs: Sequence[Encoded], device: str, *, padding: int | None = None) -> PackedText:
    """Pack texts. Positions count from 0 or, where there is a `padding` token's id, behind it.

    Then the position of a padding token within a text is its id, and it is not counted (as fairseq has it).
    """
    ids = np.concatenate([item.input_ids for item in inputs])
    types = np.concatenate([item.token_type_ids for item in inputs])
    positions = np.concatenate([_positions(item, padding) for item in inputs])
    packed = to_device(device, np.stack([ids, types, positions]).astype(np.int64))
    return PackedText(packed[0:1], packed[1:2], packed[2:3])


def _positions(item: Encoded, padding: int | None) -> NDArray[np.int64]:
    if padding is None:
        return np.arange(item.length)
    counted = np.array(item.input_ids) != padding
    positions: NDArray[np.int64] = np.cumsum(counted) * counted + padding
    return positions


@dataclass(frozen=True)
class PackedImages:
    """`patches`, float32 of shape (1, tokens, channels * height * width of a patch), has zeros at the `special` tokens
    that an image begins with. `grids` lists (images, grid) for neighbours of equal grids; `own_grid` is the model's.
    """

    patches: Tensor
    special: int
    grids: tuple[tuple[int, Grid], ...]
    own_grid: Grid

    def images(self, tokens: Tensor, slices: Iterable[Slice]) -> Iterator[tuple[Grid, Tensor]]:
        """Views (images, tokens of each, features) of what whole images lie in slices of `tokens`, by their grid."""
        for first, past in slices:
            start = 0
            for count, grid in self.grids:
                length = self.special + grid[0] * grid[1]
                end = start + count * length
                if (begin := max(first, start)) < (stop := min(past, end)):
                    yield grid, tokens[0, begin:stop].view(-1, length, tokens.shape[-1])
                start = end


def pack_images(inputs: Sequence[Image], device: str, *, patch: Grid, special: int, own_grid: Grid) -> PackedImages:
    """Cut images into patches of `patch` pixels, row by row, behind `special` tokens each."""
    (down, across), channels = patch, len(inputs[0].pixels)
    patches = np.zeros((1, sum(image.length for image in inputs), channels * down * across), np.float32)
    grids, start = [], 0
    for image in inputs:
        rows, columns = image.pixels.shape[1] // down, image.pixels.shape[2] // across
        cut = image.pixels[:, : rows * down, : columns * across].reshape(channels, rows, down, columns, across)
        place = patches[0, start + special : start + image.length].reshape(rows, columns, channels, down, across)
        place[:] = cut.transpose(1, 3, 0, 2, 4)
        grids.append((rows, columns))
        start += image.length
    neighbours = tuple((len(list(members)), grid) for grid, members in groupby(grids))
    return PackedImages(to_device(device, patches), special, neighbours, own_grid)


def to_device(device: str | torch.device, array: NDArray[Any]) -> Tensor:
    """The array on the device. A GPU reads it from pinned memory while the host goes on. Not tried on a GPU yet."""
    host = torch.from_numpy(array)
    if torch.device(device).type != "cpu":
        host = host.pin_memory()
    return host.to(device, non_blocking=True)
