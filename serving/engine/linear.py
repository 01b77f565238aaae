"""Linear layers, with float32 weights or, on the CPU, 8-bit ones: dynamic quantisation as in arXiv:1712.05877.

8-bit weights are quantised once, when a version is loaded: symmetric, a scale for each output. Activations are
quantised at every call, with one scale for all of its tokens, so an answer depends a little on its company in the
batch; sums are 32-bit. torch picks the kernels (FBGEMM, or oneDNN where the processor has VNNI).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# 7 bits of activations: without VNNI, pairs of 8-bit products could overflow 16 bits.
_REDUCE_RANGE = True
# Of each output, beside its weights: scale, zero point and the sum of its weights.
_BYTES_AN_OUTPUT = 12


@dataclass(frozen=True)
class Int8Weight:
    """The weight of a linear layer, quantised and laid out for the kernel; `nbytes` is what it occupies."""

    packed: Any
    nbytes: int


# The tensors of a version by name, as they are stored or quantised.
Stored = Mapping[str, Tensor | Int8Weight]


def quantise(weight: Tensor) -> Int8Weight:
    """Quantise a floating-point weight of shape (outputs, inputs)."""
    weight = weight.to(torch.float32)
    scales = (weight.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny).to(torch.float64)
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    with warnings.catch_warnings():  # deprecated, but the only way to what the kernels take
        warnings.simplefilter("ignore", UserWarning)
        rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(rounded, None)
    return Int8Weight(packed, weight.numel() + _BYTES_AN_OUTPUT * len(weight))


def linear(tokens: Tensor, weight: Tensor | Int8Weight, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` with either kind of weight; float32 in and out."""
    if isinstance(weight, Tensor):
        return F.linear(tokens, weight, bias)
    product: Tensor = torch.ops.quantized.linear_dynamic(tokens, weight.packed, _REDUCE_RANGE)
    return product if bias is None else product.add_(bias)


def linear_into(tokens: Tensor, out: Tensor, weight: Tensor | Int8Weight, bias: Tensor | None = None) -> None:
    """`linear` of tokens (1, n, inputs), written into `out` (1, n, outputs)."""
    if isinstance(weight, Int8Weight):
        out.copy_(linear(tokens, weight, bias))
    elif bias is None:
        torch.mm(tokens[0], weight.t(), out=out[0])
    else:
        torch.addmm(bias, tokens[0], weight.t(), out=out[0])
