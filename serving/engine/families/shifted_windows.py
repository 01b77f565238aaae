"""Swin's attention (arXiv:2103.14030, section 3.2): within windows, which are shifted in every other layer.

What is no whole window is filled up, as transformers does it, with patches that are zeros behind the norm: their
queries, keys and values are the projections' biases, and the others attend to them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.beit.modeling_beit import BeitRelativePositionBias

from serving.engine.families.gridded import biases_of, by_grid
from serving.engine.relative import Stretch


class Patches(NamedTuple):
    """Rows and columns of an image's tokens, and how many of these, from the first on, are patches of it."""

    rows: int
    columns: int
    down: int
    across: int

    @property
    def whole(self) -> bool:
        """Whether all tokens are patches of the image."""
        return (self.rows, self.columns) == (self.down, self.across)


def attend_in_windows(layer: Any, tokens: Tensor, images: Sequence[tuple[int, Patches]]) -> Tensor:
    """(1, tokens, width), before the output's projection, of normed `tokens`; zeros at tokens that are no patches."""
    if all(
        patches.whole and not (patches.rows % layer.window_size or patches.columns % layer.window_size)
        for _, patches in images
    ):
        return _whole(layer, tokens, images)
    own, side = layer.attention, layer.window_size
    projections = (own.q_proj, own.k_proj, own.v_proj)
    projected = [projection(tokens) for projection in projections]
    attended = torch.zeros_like(projected[0])
    parts = list(by_grid([own.relative_position_bias, *projections], images, 0))
    for (part, patches), bias in zip(parts, biases_of(parts, lambda patches: _bias(layer, patches)), strict=True):
        shift = _shift(layer, patches)
        with part.alone():
            fillings = [projection(tokens.new_zeros(1, 1, tokens.shape[-1])) for projection in projections]
        grids = [_fill(_grids(x, part, patches), side, value) for x, value in zip(projected, fillings, strict=True)]
        out = _attend(own, bias, *(_cut(grid, side, shift) for grid in grids))
        _grids(attended, part, patches)[:] = _joined(out, _sides(patches, side), side, shift)[
            :, : patches.down, : patches.across
        ]
    return attended


def _whole(layer: Any, tokens: Tensor, images: Sequence[tuple[int, Patches]]) -> Tensor:
    """`attend_in_windows` where nothing is to be filled up: tokens are put into the order of windows once, and back."""
    own, order = layer.attention, _order(layer, images).to(tokens.device)
    tokens = tokens.index_select(1, order)
    projected = [projection(tokens)[0] for projection in (own.q_proj, own.k_proj, own.v_proj)]
    parts = list(by_grid([own.relative_position_bias], images, 0))
    biases = biases_of(parts, lambda patches: _bias(layer, patches))
    outs = [
        _attend(own, bias, *(x[part.start : part.end] for x in projected)).flatten(0, 1)
        for (part, _), bias in zip(parts, biases, strict=True)
    ]
    attended = outs[0] if len(outs) == 1 else torch.cat(outs)
    return torch.empty_like(attended).index_copy_(0, order, attended).unsqueeze(0)


def _order(layer: Any, images: Sequence[tuple[int, Patches]]) -> Tensor:
    """Where the tokens lie that come one after another by windows: int64 of shape (tokens,)."""
    orders, start = [], 0
    for count, patches in images:
        size = patches.rows * patches.columns
        own = torch.arange(size).view(1, patches.rows, patches.columns, 1)
        firsts = torch.arange(start, start + count * size, size)
        orders.append((firsts[:, None] + _cut(own, layer.window_size, _shift(layer, patches)).flatten()).flatten())
        start += count * size
    return torch.cat(orders)


def _attend(own: Any, bias: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(windows, patches of a window, width), of windows one after another."""
    length = bias.shape[-1]
    q, k, v = (x.view(-1, length, own.num_attention_heads, own.head_dim).transpose(1, 2) for x in (query, key, value))
    scores = bias.repeat(len(q) // len(bias), 1, 1, 1) if len(bias) > 1 else bias
    return scaled_dot_product_attention(q, k, v, attn_mask=scores, scale=own.scaling).transpose(1, 2).flatten(2)


def _grids(tokens: Tensor, part: Stretch, patches: Patches) -> Tensor:
    """A view (images, down, across, width) of a part's patches."""
    images = tokens[0, part.start : part.end].view(part.count, patches.rows, patches.columns, -1)
    return images[:, : patches.down, : patches.across]


def _sides(patches: Patches, side: int) -> tuple[int, int]:
    """Rows and columns of whole windows."""
    return -(-patches.down // side) * side, -(-patches.across // side) * side


def _fill(grid: Tensor, side: int, value: Tensor) -> Tensor:
    """The grid filled up to whole windows with `value`, (1, 1, width)."""
    count, down, across, width = grid.shape
    filled = value.expand(count, -(-down // side) * side, -(-across // side) * side, width).clone()
    filled[:, :down, :across] = grid
    return filled


def _shift(layer: Any, patches: Patches) -> int:
    """How far the windows are shifted: not at all where there is one of them alone along a side."""
    return int(layer.shift_size) if min(patches.down, patches.across) > layer.window_size else 0


def _bias(layer: Any, patches: Patches) -> Tensor:
    """What is added to scores: (1 or an image's windows, heads, patches of a window, patches of a window)."""
    ((table, _),) = layer.attention.relative_position_bias.versions()
    side = layer.window_size
    index = BeitRelativePositionBias.generate_relative_position_index((side, side))[1:, 1:].to(table.device)
    bias: Tensor = table[index].permute(2, 0, 1).unsqueeze(0)
    if not _shift(layer, patches):
        return bias
    # Shifted windows hold patches from opposite sides of the image, which must not see each other.
    masks: Tensor = layer.get_attn_mask(*_sides(patches, side), dtype=table.dtype, device=table.device)
    return bias + masks.unsqueeze(1)


def _cut(images: Tensor, side: int, shift: int) -> Tensor:
    """(images, rows, columns, width) -> (windows, side * side, width)."""
    if shift:
        images = images.roll((-shift, -shift), (1, 2))
    count, rows, columns, width = images.shape
    cut = images.reshape(count, rows // side, side, columns // side, side, width).transpose(2, 3)
    return cut.reshape(-1, side * side, width)


def _joined(windows: Tensor, sides: tuple[int, int], side: int, shift: int) -> Tensor:
    """(images, rows, columns, width), of what `_cut` made."""
    rows, columns = sides
    images: Tensor = windows.reshape(-1, rows // side, columns // side, side, side, windows.shape[-1]).transpose(2, 3)
    images = images.reshape(-1, rows, columns, windows.shape[-1])
    return images.roll((shift, shift), (1, 2)) if shift else images
