"""DINOv2: `Dinov2ForImageClassification` checkpoints (a linear classifier on class token and mean of patches)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Dinov2Model
from transformers.models.dinov2.modeling_dinov2 import Dinov2LayerScale

from serving.engine.families.family import Family, Lengths
from serving.engine.families.patches import embed_patches, grid_of, own_grid, patch_of, patch_projection
from serving.engine.heads.head import Head
from serving.engine.heads.images import FIRST_AND_PATCHES, linear_classifier
from serving.engine.packing import PackedImages, pack_images
from serving.engine.routed import Route, Routed
from serving.engine.types import Image

_SPECIAL = 1  # the class token
CLASSIFIER = linear_classifier(FIRST_AND_PATCHES)


class _SwiGLU(nn.Module):
    """The feed-forward part of the largest models with the two matrices of checkpoints; transformers has three."""

    def __init__(self, split: Any) -> None:
        super().__init__()
        width, hidden = split.gate_proj.in_features, split.gate_proj.out_features
        self.weights_in = nn.Linear(width, 2 * hidden)
        self.weights_out = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        gate, up = self.weights_in(tokens).chunk(2, dim=-1)
        output: Tensor = self.weights_out(F.silu(gate) * up)
        return output


def _build(config: Any, _names: set[str], attention: str) -> nn.Module:
    model: Any = Dinov2Model._from_config(config, attn_implementation=attention)
    model.embeddings.mask_token = None
    if config.use_swiglu_ffn:
        for layer in model.encoder.layer:
            layer.mlp = _SwiGLU(layer.mlp)
    built: nn.Module = model
    return built


def _layers(model: Any) -> Sequence[str]:
    return [f"encoder.layer.{number}" for number in range(len(model.encoder.layer))]


def _pack(config: Any, inputs: Sequence[Image], device: str) -> PackedImages:
    return pack_images(inputs, device, patch=patch_of(config), special=_SPECIAL, own_grid=own_grid(config))


def _embed(model: Any, packed: PackedImages) -> Tensor:
    parts = model.embeddings
    return embed_patches(parts.patch_embeddings.projection, [parts.cls_token], parts.position_embeddings, packed)


def _attend(_model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    attended: Tensor = layer.attention(layer.norm1(hidden), packed=lengths)[0]
    return attended


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    hidden = layer.layer_scale1(attended) + hidden
    output: Tensor = layer.layer_scale2(layer.mlp(layer.norm2(hidden))) + hidden
    return output


def _after(model: Any, rows: Tensor) -> Tensor:
    normed: Tensor = model.layernorm(rows)
    return normed


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


def _tokens(config: Any, height: int, width: int) -> int:
    rows, columns = grid_of(config, height, width)
    return _SPECIAL + rows * columns


def _max_tokens(config: Any) -> int:
    rows, columns = own_grid(config)
    return _SPECIAL + rows * columns


def _layer_scale(_leaf: nn.Module, tensors: Mapping[str, tuple[str, str]], route: Route) -> Routed:
    return Routed(lambda tokens, lambda1: tokens * lambda1, tensors, route)


FAMILY = Family(
    modality="image",
    build=_build,
    layers=_layers,
    behind=("layer_scale1", "norm2", "mlp", "layer_scale2"),
    tail=("layernorm",),
    pack=_pack,
    embed=_embed,
    attend=_attend,
    finish=_finish,
    after=_after,
    head=_head,
    max_tokens=_max_tokens,
    image_tokens=_tokens,
    unread=frozenset({"embeddings.mask_token"}),
    twins={nn.Conv2d: patch_projection, Dinov2LayerScale: _layer_scale},
)
