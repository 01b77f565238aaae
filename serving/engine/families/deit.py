"""DeiT: ViT with a distillation token beside the class token.

`DeiTForImageClassification` checkpoints read the class token, `DeiTForImageClassificationWithTeacher` ones have a
classifier for each of the two, whose mean is the answer.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from transformers import DeiTModel

from serving.engine.families import vit
from serving.engine.families.patches import embed_patches, max_tokens_behind, pack_behind, tokens_behind
from serving.engine.heads.classifier import linear
from serving.engine.heads.head import Head
from serving.engine.heads.images import FIRST_TWO
from serving.engine.packing import PackedImages

_SPECIAL = 2  # the class token and the distillation token
_HEADS = ("cls_classifier", "distillation_classifier")
_CLASS, _DISTILLATION = (linear(name) for name in _HEADS)


def _build(config: Any, _names: set[str], attention: str) -> nn.Module:
    model: nn.Module = DeiTModel._from_config(config, attn_implementation=attention, add_pooling_layer=False)
    return model


def _embed(model: Any, packed: PackedImages) -> Tensor:
    parts = model.embeddings
    own = [parts.cls_token, parts.distillation_token]
    return embed_patches(parts.patch_embeddings.projection, own, parts.position_embeddings, packed)


def _classify_twice(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
    first, second = features.chunk(2, dim=1)
    return (_CLASS.apply(tensors, first) + _DISTILLATION.apply(tensors, second)) / 2


WITH_TEACHER = Head(needs=(*_CLASS.needs, *_DISTILLATION.needs), reading=FIRST_TWO, pooled=False, apply=_classify_twice)


def _head(_config: Mapping[str, Any], names: Collection[str]) -> Head:
    return WITH_TEACHER if _CLASS.needs[0] in names else vit.CLASSIFIER


FAMILY = replace(
    vit.FAMILY,
    build=_build,
    pack=pack_behind(_SPECIAL),
    embed=_embed,
    head=_head,
    max_tokens=max_tokens_behind(_SPECIAL),
    image_tokens=tokens_behind(_SPECIAL),
)
