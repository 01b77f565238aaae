"""Swin: `SwinForImageClassification` checkpoints (a linear classifier on the mean of the last stage's patches).

From stage to stage four patches become one. An image whose rows or columns do not halve so often has further tokens,
which stand for nothing: no patch attends to them, they count as zeros where patches become one, and the last stage has
none. So does transformers, which adds its zeros at every stage anew.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import SwinModel
from transformers.models.swin.modeling_swin import SwinPatchMerging, SwinRelativePositionBias

from merge_builder.errors import InputError
from serving.engine.families import vit
from serving.engine.families.family import Family
from serving.engine.families.patches import add_positions, embed_patches, own_grid, pack_behind, patch_projection
from serving.engine.families.shifted_windows import Patches, attend_in_windows
from serving.engine.heads.head import Head
from serving.engine.heads.images import linear_classifier
from serving.engine.heads.reading import MEAN
from serving.engine.packing import PackedImages
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


def _patches(config: Any, height: int, width: int, merged: int = 0) -> Patches:
    """Those of an image of so many pixels, after so many merges."""
    down, across = (-(-side // config.patch_size) for side in (height, width))
    step = 2 ** (len(config.depths) - 1)
    rows, columns = (-(-count // step) * step for count in (down, across))
    return Patches(rows >> merged, columns >> merged, -(-down >> merged), -(-across >> merged))


def _grid(config: Any, image: Image, layer: int) -> Patches:
    height, width = image.pixels.shape[1:]
    return _patches(config, height, width, merged=sum(number < layer for number in _merges(config)))


def _pack(config: Any, inputs: Sequence[Image], device: str) -> PackedImages:
    return pack_behind(0)(config, [_filled(config, image) for image in inputs], device)


def _filled(config: Any, image: Image) -> Image:
    """The image with black pixels to the right and below, as many as its tokens ask for."""
    height, width = image.pixels.shape[1:]
    patches = _patches(config, height, width)
    below, right = patches.rows * config.patch_size - height, patches.columns * config.patch_size - width
    if not below and not right:
        return image
    return replace(image, pixels=np.pad(image.pixels, ((0, 0), (0, below), (0, right))))


def _embed(model: Any, packed: PackedImages) -> Tensor:
    parts = model.embeddings
    hidden: Tensor = parts.norm(embed_patches(parts.patch_embeddings.projection, [], None, packed))
    return hidden if parts.position_embeddings is None else add_positions(hidden, parts.position_embeddings, packed)


def _attend(_model: Any, layer: Any, hidden: Tensor, images: Sequence[tuple[int, Patches]]) -> Tensor:
    if isinstance(layer, SwinPatchMerging):
        return _side_by_side(hidden, images)
    output: Tensor = layer.attention.o_proj(attend_in_windows(layer, layer.layernorm_before(hidden), images))
    return output


def _side_by_side(hidden: Tensor, images: Sequence[tuple[int, Patches]]) -> Tensor:
    """(1, tokens / 4, 4 * width): the four patches of each square, column by column."""
    out, start = [], 0
    for count, patches in images:
        rows, columns, down, across = patches
        end = start + count * rows * columns
        own = hidden[0, start:end].view(count, rows, columns, -1)
        if not patches.whole:
            own = own.clone()
            own[:, down:] = 0
            own[:, :, across:] = 0
        squares = own.view(count, rows // 2, 2, columns // 2, 2, -1)
        out.append(squares.permute(0, 1, 3, 4, 2, 5).reshape(count * rows * columns // 4, -1))
        start = end
    return (out[0] if len(out) == 1 else torch.cat(out)).unsqueeze(0)


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    if isinstance(layer, SwinPatchMerging):
        merged: Tensor = layer.reduction(layer.norm(attended))
        return merged
    return vit.finish(layer, attended, hidden)


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


def _image_tokens(config: Any, height: int, width: int) -> int:
    patches = _patches(config, height, width)
    last = _patches(config, height, width, merged=len(config.depths) - 1)
    if min(last.down, last.across) < config.window_size:
        least = ((config.window_size - 1) * 2 ** (len(config.depths) - 1) * config.patch_size) + 1
        raise InputError(
            f"an image of {height} x {width} pixels is too small: its last patches have to fill a window of "
            f"{config.window_size} x {config.window_size}, which takes {least} pixels a side"
        )
    if config.use_absolute_embeddings and (
        not patches.whole or height % config.patch_size or width % config.patch_size
    ):
        step = config.patch_size * 2 ** (len(config.depths) - 1)
        raise InputError(
            f"an image of {height} x {width} pixels does not fit a model that has a table of positions: sides have to "
            f"be multiples of {step}"
        )
    return patches.rows * patches.columns


def _max_tokens(config: Any) -> int:
    rows, columns = own_grid(config)
    patches = _patches(config, rows * config.patch_size, columns * config.patch_size)
    return patches.rows * patches.columns


def _positions(_leaf: nn.Module, tensors: Mapping[str, tuple[str, str]], route: Route) -> RoutedParameter:
    return RoutedParameter(*tensors["relative_position_bias_table"], route)


FAMILY = Family(
    modality="image",
    build=_build,
    layers=_layers,
    behind=("layernorm_after", "mlp"),
    tail=("layernorm",),
    pack=_pack,
    embed=_embed,
    attend=_attend,
    finish=_finish,
    after=vit.after,
    head=_head,
    max_tokens=_max_tokens,
    image_tokens=_image_tokens,
    grid=_grid,
    merges=_merges,
    unread=frozenset({"embeddings.mask_token"}),
    twins={nn.Conv2d: patch_projection, SwinRelativePositionBias: _positions},
)
