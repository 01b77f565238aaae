"""BERT: post-norm layers; a pooler on the first token, then a linear classifier."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel

from serving.engine.families.family import Family, Lengths
from serving.engine.heads.classifier import linear, two_layers
from serving.engine.heads.head import Head
from serving.engine.packing import PackedText, pack_text
from serving.engine.types import Encoded

_POOLER = "pooler.dense.weight"
CLASSIFIER = linear("classifier")
# Where the base had no pooler, each expert keeps its own.
OWN_POOLER = two_layers("pooler.dense", torch.tanh, "classifier")


def _build(config: Any, names: set[str], attention: str) -> nn.Module:
    model: nn.Module = AutoModel.from_config(config, attn_implementation=attention, add_pooling_layer=_POOLER in names)
    return model


def layers(model: Any) -> Sequence[str]:
    """`Family.layers` of an encoder with a list `layer`, as most have."""
    return [f"encoder.layer.{number}" for number in range(len(model.encoder.layer))]


def pack(_config: Any, inputs: Sequence[Encoded], device: str) -> PackedText:
    """`Family.pack` where positions count from 0."""
    return pack_text(inputs, device)


def embed(model: Any, packed: PackedText) -> Tensor:
    """`Family.embed` of embeddings that add words, token types and positions."""
    embedded: Tensor = model.embeddings(packed.input_ids, packed.token_type_ids, packed.positions)
    return embedded


def _attend(_model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    attended: Tensor = layer.attention.self(hidden, packed=lengths)[0]
    return attended


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    output: Tensor = layer.feed_forward_chunk(layer.attention.output(attended, hidden))
    return output


def pool(model: Any, rows: Tensor) -> Tensor:
    """`Family.pool`: a dense layer and its activation."""
    pooled: Tensor = model.pooler.activation(model.pooler.dense(rows))
    return pooled


def _head(_config: Mapping[str, Any], names: Collection[str]) -> Head:
    return OWN_POOLER if _POOLER in names else CLASSIFIER


FAMILY = Family(
    build=_build,
    layers=layers,
    pooler=("pooler",),
    behind=("attention.output", "intermediate", "output"),
    pack=pack,
    embed=embed,
    attend=_attend,
    finish=_finish,
    pool=pool,
    head=_head,
    max_tokens=lambda config: int(config.max_position_embeddings),
)
