"""Swin: `SwinForImageClassification` checkpoints (a linear classifier on the mean of the last stage's patches).

Attention stays within windows, which are shifted in every other layer; from stage to stage four patches become one.
An image's sides have to be whole windows at every stage, as those of the sizes that models are trained on are:
transformers pads others with tokens that have no weights of their own.
"""

from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import SwinModel
from transformers.models.beit.modeling_beit import BeitRelativePositionBias
from transformers.models.swin.modeling_swin import SwinPatchMerging, SwinRelativePositionBias

from merge_builder.errors import InputError
from serving.engine.families.family import Family
from serving.engine.families.gridded import biases_of, by_grid
from serving.engine.families.patches import (
    add_positions,
    embed_patches,
    grid_of,
    own_grid,
    pack_behind,
    patch_projection,
)
from serving.engine.heads.head import Head
from serving.engine.heads.images import linear_classifier
from serving.engine.heads.reading import MEAN
from serving.engine.packing import Grid, PackedImages
from serving.engine.routed import Route, RoutedParameter
from serving.engine.types import Image

CLASSIFIER = linear_classifier(MEAN)


def _build(config: Any, _names: set[str], attention: str) -> nn.Module:
    model: nn.Module = SwinModel._from_config(config, attn_implementation=attention, add_pooling_layer=False)
    return model


def _layers(model: Any) -> Sequence[str]:
    paths = []
    for number, stage in enumerate(model.encoder.layers):
        paths += [f"encoder.layers.{number}.blocks.{block}" for block in range(len(stage.blocks))]
        if stage.downsample is not None:
            paths.append(f"encoder.layers.{number}.downsample")
    return paths


def _merges(config: Any) -> Mapping[int, int]:
    """The layers between two stages."""
    return {sum(config.depths[: stage + 1]) + stage: 4 for stage in range(len(config.depths) - 1)}


def _grid(config: Any, image: Image, layer: int) -> Grid:
    merged = sum(number < layer for number in _merges(config))
    rows, columns = grid_of(config, *image.pixels.shape[1:])
    return rows >> merged, columns >> merged


def _embed(model: Any, packed: PackedImages) -> Tensor:
    parts = model.embeddings
    hidden: Tensor = parts.norm(embed_patches(parts.patch_embeddings.projection, [], None, packed))
    return hidden if parts.position_embeddings is None else add_positions(hidden, parts.position_embeddings, packed)


def _attend(_model: Any, layer: Any, hidden: Tensor, images: Sequence[tuple[int, Grid]]) -> Tensor:
    if isinstance(layer, SwinPatchMerging):
        return _side_by_side(hidden, images)
    own, tokens = layer.attention, layer.layernorm_before(hidden)
    query, key, value = own.q_proj(tokens), own.k_proj(tokens), own.v_proj(tokens)
    attended = torch.empty_like(query)
    parts = list(by_grid([own.relative_position_bias], images, 0))
    side = layer.window_size
    for (part, grid), bias in zip(parts, biases_of(parts, lambda grid: _bias(layer, grid)), strict=True):
        shift = _shift(layer, grid)
        q, k, v = (
            _windows(x[0, part.start : part.end].view(part.count, *grid, -1), side, shift)
            .reshape(-1, side * side, own.num_attention_heads, own.head_dim)
            .transpose(1, 2)
            for x in (query, key, value)
        )
        scores = bias.repeat(len(q) // len(bias), 1, 1, 1) if len(bias) > 1 else bias
        out = scaled_dot_product_attention(q, k, v, attn_mask=scores, scale=own.scaling)
        attended[0, part.start : part.end] = _images(out.transpose(1, 2).flatten(2), grid, side, shift)
    output: Tensor = own.o_proj(attended)
    return output


def _side_by_side(hidden: Tensor, images: Sequence[tuple[int, Grid]]) -> Tensor:
    """(1, tokens / 4, 4 * width): the four patches of each square, column by column."""
    out, start = [], 0
    for count, (rows, columns) in images:
        end = start + count * rows * columns
        squares = hidden[0, start:end].view(count, rows // 2, 2, columns // 2, 2, -1)
        out.append(squares.permute(0, 1, 3, 4, 2, 5).reshape(count * rows * columns // 4, -1))
        start = end
    return torch.cat(out).unsqueeze(0)


def _shift(layer: Any, grid: Grid) -> int:
    """How far the windows are shifted: not at all where there is one of them alone along a side."""
    return int(layer.shift_size) if min(grid) > layer.window_size else 0


def _bias(layer: Any, grid: Grid) -> Tensor:
    """What is added to scores: (1 or an image's windows, heads, patches of a window, patches of a window)."""
    ((table, _),) = layer.attention.relative_position_bias.versions()
    side = layer.window_size
    index = BeitRelativePositionBias.generate_relative_position_index((side, side))[1:, 1:].to(table.device)
    bias: Tensor = table[index].permute(2, 0, 1).unsqueeze(0)
    if not _shift(layer, grid):
        return bias
    # Shifted windows hold patches from opposite sides of the image, which must not see each other.
    masks: Tensor = layer.get_attn_mask(*grid, dtype=table.dtype, device=table.device)
    return bias + masks.unsqueeze(1)


def _windows(images: Tensor, side: int, shift: int) -> Tensor:
    """(images, rows, columns, width) -> (windows, side * side, width)."""
    if shift:
        images = images.roll((-shift, -shift), (1, 2))
    count, rows, columns, width = images.shape
    cut = images.view(count, rows // side, side, columns // side, side, width).transpose(2, 3)
    return cut.reshape(-1, side * side, width)


def _images(windows: Tensor, grid: Grid, side: int, shift: int) -> Tensor:
    """The patches of all images, (images * rows * columns, width), of what `_windows` made."""
    rows, columns = grid
    images: Tensor = windows.view(-1, rows // side, columns // side, side, side, windows.shape[-1]).transpose(2, 3)
    images = images.reshape(-1, rows, columns, windows.shape[-1])
    return (images.roll((shift, shift), (1, 2)) if shift else images).flatten(0, 2)


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    if isinstance(layer, SwinPatchMerging):
        merged: Tensor = layer.reduction(layer.norm(attended))
        return merged
    hidden = attended.add_(hidden)
    output: Tensor = layer.mlp(layer.layernorm_after(hidden)).add_(hidden)
    return output


def _after(model: Any, rows: Tensor) -> Tensor:
    normed: Tensor = model.layernorm(rows)
    return normed


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


def _image_tokens(config: Any, height: int, width: int) -> int:
    step = config.patch_size * config.window_size * 2 ** (len(config.depths) - 1)
    if height % step or width % step or not height or not width:
        raise InputError(f"an image of {height} x {width} pixels does not fit: sides have to be multiples of {step}")
    return prod(grid_of(config, height, width))


def _positions(_leaf: nn.Module, tensors: Mapping[str, tuple[str, str]], route: Route) -> RoutedParameter:
    return RoutedParameter(*tensors["relative_position_bias_table"], route)


FAMILY = Family(
    modality="image",
    build=_build,
    layers=_layers,
    behind=("layernorm_after", "mlp"),
    tail=("layernorm",),
    pack=pack_behind(0),
    embed=_embed,
    attend=_attend,
    finish=_finish,
    after=_after,
    head=_head,
    max_tokens=lambda config: prod(own_grid(config)),
    image_tokens=_image_tokens,
    grid=_grid,
    merges=_merges,
    unread=frozenset({"embeddings.mask_token"}),
    twins={nn.Conv2d: patch_projection, SwinRelativePositionBias: _positions},
)
