"""Attention over packed rows: sequences end to end in one row of tokens, no padding.

transformers' layers call it through `AttentionInterface`; the lengths travel in the layer's keyword arguments. Where a
layer has its attention written out instead, the family's adapter calls `attend`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "mergeladder_packed"

# (sequences, length) for neighbouring sequences of equal length, in the order of the tokens.
Lengths = Sequence[tuple[int, int]]

_STRIDE = 256  # tokens that look for those near them at once


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
    return _by_sequences(q, k, v, packed, _all_to_all(packed, biases, scaling, bool(module.is_causal))), None


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
    return _by_sequences(q, k, v, packed, _all_to_all(packed, biases, scaling, causal=False)).flatten(2)


def attend_near(heads: int, distance: int, query: Tensor, key: Tensor, value: Tensor, packed: Lengths) -> Tensor:
    """As `attend`, every token to those at most so far from it: the cost grows with the length, not with its square."""
    q, k, v = (x[0].view(len(x[0]), heads, -1) for x in (query, key, value))
    return _by_sequences(q, k, v, packed, lambda _, *parts: _near(distance, *parts)).flatten(2)


# The number of an entry of `packed`, then queries, keys and values, (sequences, heads, length, head size).
_Attention = Callable[[int, Tensor, Tensor, Tensor], Tensor]


def _by_sequences(query: Tensor, key: Tensor, value: Tensor, packed: Lengths, attention: _Attention) -> Tensor:
    """(1, tokens, heads, head size), of (tokens, heads, head size): `attention` of each entry of `packed`."""
    outputs: list[Tensor] = []
    start = 0
    for number, (count, length) in enumerate(packed):
        end = start + count * length
        q, k, v = (x[start:end].view(count, length, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
        outputs.append(attention(number, q, k, v).transpose(1, 2).flatten(0, 1))
        start = end
    return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)).unsqueeze(0)


def _all_to_all(
    packed: Lengths, biases: Sequence[Tensor | None] | None, scaling: float | None, causal: bool
) -> _Attention:
    masks = biases or [None] * len(packed)
    if len(masks) != len(packed):
        raise ValueError(f"there are {len(masks)} biases for {len(packed)} lengths")
    return lambda number, query, key, value: scaled_dot_product_attention(
        query, key, value, attn_mask=masks[number], scale=scaling, is_causal=causal
    )


def _near(distance: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    length = query.shape[2]
    if length <= distance + 1:
        return scaled_dot_product_attention(query, key, value)
    at = torch.arange(length, device=query.device)
    out = torch.empty_like(query)
    for first in range(0, length, _STRIDE):
        past = min(first + _STRIDE, length)
        low, high = max(0, first - distance), min(length, past + distance)
        near = (at[first:past, None] - at[low:high]).abs() <= distance
        out[:, :, first:past] = scaled_dot_product_attention(
            query[:, :, first:past], key[:, :, low:high], value[:, :, low:high], attn_mask=near
        )
    return out


AttentionInterface.register(NAME, packed_attention)
