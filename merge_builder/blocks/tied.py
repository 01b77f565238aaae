"""Tied weights: one tensor that a model knows under several names is read, counted and stored once."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from merge_builder.blocks.layout import Layout
from merge_builder.checkpoints import StoredTensor

_COMPARED_AT_ONCE = 1 << 20


def without_aliases(
    tensors: Mapping[str, StoredTensor], config: Mapping[str, Any], layout: Layout
) -> dict[str, StoredTensor]:
    """`tensors` (by canonical name) without the second names that `layout` declares.

    A copy goes only where it is one, byte for byte: transformers too leaves tensors apart that differ. Where a
    checkpoint has kept the second name alone, its tensor comes under the first.
    """
    kept = dict(tensors)
    for tied in layout.tied:
        if tied.alias not in kept or not tied.holds(config):
            continue
        if tied.owner not in kept:
            kept[tied.owner] = kept.pop(tied.alias)
        elif _equal(kept[tied.alias], kept[tied.owner]):
            del kept[tied.alias]
    return kept


def _equal(left: StoredTensor, right: StoredTensor) -> bool:
    if (left.dtype, left.shape) != (right.dtype, right.shape):
        return False
    for start in range(0, left.size, _COMPARED_AT_ONCE):
        stop = min(start + _COMPARED_AT_ONCE, left.size)
        ours, theirs = left.read(start, stop), right.read(start, stop)
        if not np.array_equal(ours.view(np.uint8), theirs.view(np.uint8)):
            return False
    return True
