"""CLIP's vision tower: `CLIPForImageClassification` checkpoints (a linear classifier on the mean of patches).

Towers without one answer by a vector: the class token behind a last norm, projected where there is a projection.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionModel

from serving.engine.families.family import Family, Lengths
from serving.engine.families.patches import (
    embed_patches,
    max_tokens_behind,
    pack_behind,
    patch_projection,
    tokens_behind,
)
from serving.engine.heads.head import Head
from serving.engine.heads.images import PATCHES, linear_classifier
from serving.engine.heads.reading import FIRST
from serving.engine.packing import PackedImages
from serving.engine.routed import Route, RoutedParameter
from serving.engine.types import Image

_SPECIAL = 1  # the class token
CLASSIFIER = linear_classifier(PATCHES)
PROJECTION = "visual_projection.weight"


def _build(config: Any, _names: set[str], attention: str) -> nn.Module:
    model: nn.Module = CLIPVisionModel._from_config(_tower(config), attn_implementation=attention)
    return model


def _tower(config: Any) -> Any:
    return getattr(config, "vision_config", config)


def _layers(model: Any) -> Sequence[str]:
    return [f"encoder.layers.{number}" for number in range(len(model.encoder.layers))]


def _pack(config: Any, inputs: Sequence[Image], device: str) -> PackedImages:
    return pack_behind(_SPECIAL)(_tower(config), inputs, device)


def _embed(model: Any, packed: PackedImages) -> Tensor:
    parts = model.embeddings
    embedded = embed_patches(parts.patch_embedding, [parts.class_embedding], parts.position_embedding, packed)
    normed: Tensor = model.pre_layrnorm(embedded)
    return normed


def _attend(_model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    attended: Tensor = layer.self_attn(layer.layer_norm1(hidden), packed=lengths)[0]
    return attended


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    hidden = attended.add_(hidden)
    output: Tensor = layer.mlp(layer.layer_norm2(hidden)).add_(hidden)
    return output


def _pool(model: Any, rows: Tensor) -> Tensor:
    normed: Tensor = model.post_layernorm(rows)
    return normed


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


def _vector(_config: Mapping[str, Any], names: Collection[str]) -> Head:
    """`image_embeds` of transformers where there is a projection, else its `pooler_output`; neither is of length 1."""
    needs = (PROJECTION,) if PROJECTION in names else ()

    def apply(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
        return F.linear(features, tensors[PROJECTION]) if needs else features

    return Head(needs=needs, reading=FIRST, pooled=True, apply=apply)


def _positions(_leaf: nn.Module, tensors: Mapping[str, tuple[str, str]], route: Route) -> RoutedParameter:
    return RoutedParameter(*tensors["weight"], route)


FAMILY = Family(
    modality="image",
    build=_build,
    layers=_layers,
    behind=("layer_norm2", "mlp"),
    pooler=("post_layernorm",),
    pack=_pack,
    embed=_embed,
    attend=_attend,
    finish=_finish,
    pool=_pool,
    head=_head,
    vector_head=_vector,
    max_tokens=lambda config: max_tokens_behind(_SPECIAL)(_tower(config)),
    image_tokens=lambda config, height, width: tokens_behind(_SPECIAL)(_tower(config), height, width),
    twins={nn.Conv2d: patch_projection, nn.Embedding: _positions},
)
