"""Attention over packed rows: sequences end to end in one row of tokens, no padding.

transformers' layers call it through `AttentionInterface`; the lengths travel in the layer's keyword arguments.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "mergeladder_packed"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    packed: Sequence[tuple[int, int]],
    scaling: float | None = None,
    **_others: Any,
) -> tuple[Tensor, None]:
    """Every sequence attends to itself alone.

    `query`, `key` and `value` are (1, heads, tokens, head size); `packed` lists (sequences, length) in the order of
    the tokens, neighbours of equal length together, each of which is one call. Returns (1, tokens, heads, head size).
    """
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    outputs: list[Tensor] = []
    start = 0
    for count, length in packed:
        end = start + count * length
        qs, ks, vs = (x[start:end].view(count, length, *x.shape[1:]).transpose(1, 2) for x in (q, k, v))
        attended = scaled_dot_product_attention(qs, ks, vs, scale=scaling, is_causal=bool(module.is_causal))
        outputs.append(attended.transpose(1, 2).flatten(0, 1))
        start = end
    joined = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return joined.unsqueeze(0), None


AttentionInterface.register(NAME, packed_attention)
