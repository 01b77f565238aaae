"""Inputs end to end, as a family's `embed` takes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serving.engine.types import Encoded


@dataclass(frozen=True)
class PackedText:
    """Int64 tensors of shape (1, tokens)."""

    input_ids: Tensor
    token_type_ids: Tensor
    positions: Tensor


def pack_text(inputs: Sequence[Encoded], device: str, *, first_position: int = 0) -> PackedText:
    """Pack texts; the first token of each is at `first_position`."""
    ids = np.concatenate([item.input_ids for item in inputs])
    types = np.concatenate([item.token_type_ids for item in inputs])
    positions = np.concatenate([np.arange(first_position, first_position + item.length) for item in inputs])
    packed = to_device(device, np.stack([ids, types, positions]).astype(np.int64))
    return PackedText(packed[0:1], packed[1:2], packed[2:3])


def to_device(device: str | torch.device, array: NDArray[np.int64]) -> Tensor:
    """The array on the device. A GPU reads it from pinned memory while the host goes on. Not tried on a GPU yet."""
    host = torch.from_numpy(array)
    if torch.device(device).type != "cpu":
        host = host.pin_memory()
    return host.to(device, non_blocking=True)
