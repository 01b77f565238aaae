"""What families of images have in common: an image is a grid of patches, behind tokens of its own (a class token).

Cutting an image into patches and a linear layer on each is what transformers computes as a convolution whose stride is
its kernel. So an image is cut when it is packed, and its tokens are a family's to embed like any others.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from merge_builder.errors import InputError
from serving.engine.linear import linear, linear_into
from serving.engine.packing import Grid, PackedImages, pack_images
from serving.engine.routed import Route, Routed, RoutedParameter
from serving.engine.types import Image


def grid_on_entering(config: Any, image: Image, _layer: int) -> Grid:
    """`Family.grid` where layers leave an image's grid as it is."""
    return grid_of(config, *image.pixels.shape[1:])


def grid_of(config: Any, height: int, width: int) -> Grid:
    """The rows and columns of patches of an image of so many pixels; what makes no whole patch is left out.

    Raises:
        InputError: the image is smaller than one patch.
    """
    down, across = _pair(config.patch_size)
    if height < down or width < across:
        raise InputError(f"an image of {height} x {width} pixels is smaller than one patch of {down} x {across}")
    return height // down, width // across


def own_grid(config: Any) -> Grid:
    """The grid that the model's table of positions is for."""
    return grid_of(config, *_pair(config.image_size))


def pack_behind(special: int) -> Callable[[Any, Sequence[Image], str], PackedImages]:
    """`Family.pack` where an image begins with so many tokens of its own."""

    def pack(config: Any, inputs: Sequence[Image], device: str) -> PackedImages:
        patch = _pair(config.patch_size)
        return pack_images(inputs, device, patch=patch, special=special, own_grid=own_grid(config))

    return pack


def tokens_behind(special: int) -> Callable[[Any, int, int], int]:
    """`Family.image_tokens` where an image begins with so many tokens of its own."""
    return lambda config, height, width: special + prod(grid_of(config, height, width))


def max_tokens_behind(special: int) -> Callable[[Any], int]:
    """`Family.max_tokens` where an image begins with so many tokens of its own: those of the model's own size."""
    return lambda config: special + prod(own_grid(config))


def patch_projection(leaf: nn.Conv2d, tensors: Mapping[str, tuple[str, str]], route: Route) -> Routed:
    """The twin of a convolution over patches: a linear layer on (1, tokens, channels * height * width)."""
    return Routed(_project, tensors, route, into=_project_into, width=leaf.out_channels)


def embed_patches(
    projection: Routed, own: Sequence[RoutedParameter], positions: RoutedParameter | None, packed: PackedImages
) -> Tensor:
    """(1, tokens, hidden): patches projected, an image's `own` tokens before them, positions added."""
    hidden: Tensor = projection(packed.patches)
    for number, token in enumerate(own):
        for value, slices in token.versions():
            for _, images in packed.images(hidden, slices):
                images[:, number] = value.flatten()
    return hidden if positions is None else add_positions(hidden, positions, packed)


def add_positions(hidden: Tensor, positions: RoutedParameter, packed: PackedImages) -> Tensor:
    """`hidden` itself, with positions added in place: their table is (1, tokens, hidden) or (tokens, hidden)."""
    for table, slices in positions.versions():
        rows, resized = table.view(-1, hidden.shape[-1]), dict[Grid, Tensor]()
        for grid, images in packed.images(hidden, slices):
            if grid not in resized:
                resized[grid] = resize_positions(rows, packed.own_grid, grid)
            images += resized[grid]
    return hidden


def resize_positions(table: Tensor, own: Grid, grid: Grid) -> Tensor:
    """The table of positions (own tokens and `own` grid, hidden) for another grid, as transformers interpolates it."""
    if grid == own:
        return table
    special = len(table) - own[0] * own[1]
    patches = table[special:].view(1, *own, -1).permute(0, 3, 1, 2)
    resized: Tensor = F.interpolate(patches, size=grid, mode="bicubic", align_corners=False)
    return torch.cat([table[:special], resized.permute(0, 2, 3, 1).flatten(0, 2)])


def _pair(size: int | Sequence[int]) -> Grid:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _project(tokens: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return linear(tokens, weight.flatten(1), bias)


def _project_into(tokens: Tensor, out: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
    linear_into(tokens, out, weight.flatten(1), bias)
