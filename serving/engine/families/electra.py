"""ELECTRA: BERT's layers behind embeddings that may be narrower; no pooler."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers import AutoModel

from serving.engine.families import bert
from serving.engine.heads.classifier import two_layers
from serving.engine.heads.head import Head
from serving.engine.packing import PackedText

CLASSIFIER = two_layers("classifier.dense", gelu, "classifier.out_proj")


def _build(config: Any, _names: set[str], attention: str) -> nn.Module:
    model: nn.Module = AutoModel.from_config(config, attn_implementation=attention)
    return model


def _embed(model: Any, packed: PackedText) -> Tensor:
    embedded = bert.embed(model, packed)
    if hasattr(model, "embeddings_project"):
        embedded = model.embeddings_project(embedded)
    return embedded


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


FAMILY = replace(bert.FAMILY, build=_build, embed=_embed, head=_head, pooler=())
