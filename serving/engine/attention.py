"""Attention over packed rows: sequences end to end in one row of tokens, no padding.

transformers' layers call it through `AttentionInterface`; the lengths travel in the layer's keyword arguments. Where a
layer has its attention written out instead, the family's adapter calls `attend`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "mergeladder_packed"

# (sequences, length) for neighbouring sequences of equal length, in the order of the tokens.
Lengths = Sequence[tuple[int, int]]


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    packed: Lengths,
    biases: Sequence[Tensor | None] | None = None,
    scaling: float | None = None,
    **_others: Any,
) -> tuple[Tensor, None]:
    """Every sequence attends to itself alone.

    `query`, `key` and `value` are (1, heads, tokens, head size); `packed` and `biases` are as in `attend`. Returns
    (1, tokens, heads, head size).
    """
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    return _by_sequences(q, k, v, packed, biases, scaling, bool(module.is_causal)).unsqueeze(0), None


def attend(
    heads: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packed: Lengths,
    *,
    biases: Sequence[Tensor | None] | None = None,
    scaling: float | None = None,
) -> Tensor:
    """Every sequence attends to itself alone, in so many heads; all tensors are (1, tokens, width).

    Each entry of `packed` is one call. `biases[i]` is added to the scores of entry i, or says by True which of them
    count; it broadcasts to (sequences, heads, length, length). `scaling` multiplies the products of queries and keys;
    the default is one by the root of the head size.
    """
    q, k, v = (x[0].view(len(x[0]), heads, -1) for x in (query, key, value))
    return _by_sequences(q, k, v, packed, biases, scaling, causal=False).flatten(1).unsqueeze(0)


def _by_sequences(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packed: Lengths,
    biases: Sequence[Tensor | None] | None,
    scaling: float | None,
    causal: bool,
) -> Tensor:
    """`attend` for (tokens, heads, head size)."""
    outputs: list[Tensor] = []
    start = 0
    for (count, length), bias in zip(packed, biases or [None] * len(packed), strict=True):
        end = start + count * length
        q, k, v = (x[start:end].view(count, length, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
        attended = scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scaling, is_causal=causal)
        outputs.append(attended.transpose(1, 2).flatten(0, 1))
        start = end
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


AttentionInterface.register(NAME, packed_attention)
