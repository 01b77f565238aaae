"""ALBERT: layers that share weights, in groups that are gone through several times; embeddings that are narrower."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AlbertModel

from serving.engine.attention import attend
from serving.engine.families import bert
from serving.engine.families.family import Family, Lengths
from serving.engine.heads.classifier import linear, two_layers
from serving.engine.heads.head import Head
from serving.engine.packing import PackedText

_POOLER = "pooler.weight"
CLASSIFIER = linear("classifier")
# Where the base had no pooler, each expert keeps its own.
OWN_POOLER = two_layers("pooler", torch.tanh, "classifier")


def _build(config: Any, names: set[str], _attention: str) -> nn.Module:
    model: nn.Module = AlbertModel(config, add_pooling_layer=_POOLER in names)
    return model


def _layers(model: Any) -> Sequence[str]:
    config = model.config
    layers_a_group = config.num_hidden_layers / config.num_hidden_groups  # as AlbertTransformer counts
    return [
        f"encoder.albert_layer_groups.{int(number / layers_a_group)}.albert_layers.{inner}"
        for number in range(config.num_hidden_layers)
        for inner in range(config.inner_group_num)
    ]


def _embed(model: Any, packed: PackedText) -> Tensor:
    embedded: Tensor = model.encoder.embedding_hidden_mapping_in(bert.embed(model, packed))
    return embedded


def _attend(_model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    own = layer.attention
    return attend(own.num_attention_heads, own.query(hidden), own.key(hidden), own.value(hidden), lengths)


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    hidden = layer.attention.LayerNorm(hidden + layer.attention.dense(attended))
    output: Tensor = layer.full_layer_layer_norm(layer.ff_chunk(hidden) + hidden)
    return output


def _pool(model: Any, rows: Tensor) -> Tensor:
    pooled: Tensor = model.pooler_activation(model.pooler(rows))
    return pooled


def _head(_config: Mapping[str, Any], names: Collection[str]) -> Head:
    return OWN_POOLER if _POOLER in names else CLASSIFIER


FAMILY = Family(
    build=_build,
    layers=_layers,
    pooler=("pooler",),
    behind=("attention.dense", "attention.LayerNorm", "ffn", "ffn_output", "full_layer_layer_norm"),
    pack=bert.pack,
    embed=_embed,
    attend=_attend,
    finish=_finish,
    pool=_pool,
    head=_head,
    max_tokens=lambda config: int(config.max_position_embeddings),
)
