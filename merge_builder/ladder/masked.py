"""What a masked version's file holds, and how a task's weights are made from it.

For every tensor of the block, under its own name, the unified task vector that the group shares; under `masks:` and its
name a bit a weight for each task, U8 [n, ceil(size / 8)], the first weight in the lowest bit; and for the whole block
`rescalers`, F32 [n]. Task k of the version's tasks has the weights

    base + rescalers[k] * masks[k] * unified

Source: FlexMerge, arXiv 2505.23209, for masks a block; EMR, arXiv 2405.17461; TALL masks, arXiv 2405.07813.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.ladder.fields import TensorSpec

RESCALERS = "rescalers"


def masks_of(name: str) -> str:
    """Where the masks of the tensor `name` are."""
    return f"masks:{name}"


def masked_specs(tensors: Sequence[TensorSpec], tasks: int) -> tuple[TensorSpec, ...]:
    """What a masked version for that many tasks stores; `tensors` are the block's, in the unified vector's dtype."""
    masks = (TensorSpec(name=masks_of(t.name), dtype="U8", shape=(tasks, -(-prod(t.shape) // 8))) for t in tensors)
    return (*tensors, *masks, TensorSpec(name=RESCALERS, dtype="F32", shape=(tasks,)))


def pack_masks(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Masks [n, size] as bits, uint8 [n, ceil(size / 8)]; bits past the end are 0."""
    return np.packbits(masks, axis=1, bitorder="little")


def reconstruct(
    base: NDArray[Any], unified: NDArray[Any], mask: NDArray[np.uint8], rescaler: np.float32
) -> NDArray[np.float32]:
    """One task's weights, fp32, from stretches of equal length of the base, the unified vector and the task's mask."""
    weights: NDArray[np.float32] = unified.astype(np.float32) * mask
    weights *= rescaler
    weights += base.astype(np.float32, copy=False)
    return weights
