"""ViT: `ViTForImageClassification` checkpoints (a linear classifier on the class token)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import ViTModel

from serving.engine.families.family import Family, Lengths
from serving.engine.families.patches import (
    embed_patches,
    max_tokens_behind,
    pack_behind,
    patch_projection,
    tokens_behind,
)
from serving.engine.heads.head import Head
from serving.engine.heads.images import linear_classifier
from serving.engine.heads.reading import FIRST
from serving.engine.packing import PackedImages

_SPECIAL = 1  # the class token
CLASSIFIER = linear_classifier(FIRST)


def _build(config: Any, _names: set[str], attention: str) -> nn.Module:
    model: nn.Module = ViTModel._from_config(config, attn_implementation=attention, add_pooling_layer=False)
    return model


def _layers(model: Any) -> Sequence[str]:
    return [f"layers.{number}" for number in range(len(model.layers))]


def _embed(model: Any, packed: PackedImages) -> Tensor:
    parts = model.embeddings
    return embed_patches(parts.patch_embeddings.projection, [parts.cls_token], parts.position_embeddings, packed)


def _attend(_model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    attended: Tensor = layer.attention(layer.layernorm_before(hidden), packed=lengths)[0]
    return attended


def finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    """`Family.finish` of a pre-norm layer."""
    # In place: nobody else has the output of a linear layer.
    hidden = attended.add_(hidden)
    output: Tensor = layer.mlp(layer.layernorm_after(hidden)).add_(hidden)
    return output


def after(model: Any, rows: Tensor) -> Tensor:
    """`Family.after`: a last norm."""
    normed: Tensor = model.layernorm(rows)
    return normed


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


FAMILY = Family(
    modality="image",
    build=_build,
    layers=_layers,
    behind=("layernorm_after", "mlp"),
    tail=("layernorm",),
    pack=pack_behind(_SPECIAL),
    embed=_embed,
    attend=_attend,
    finish=finish,
    after=after,
    head=_head,
    max_tokens=max_tokens_behind(_SPECIAL),
    image_tokens=tokens_behind(_SPECIAL),
    # No classifier goes through the pooler, and masks are for pre-training.
    unread=frozenset({"embeddings.mask_token", "pooler.dense.weight", "pooler.dense.bias"}),
    twins={nn.Conv2d: patch_projection},
)
