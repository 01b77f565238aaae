"""BERT: `BertForSequenceClassification` checkpoints (pooler on the first token, then a linear classifier)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertModel

from serving.engine.families.family import Family, Lengths
from serving.engine.heads.head import Head
from serving.engine.heads.reading import FIRST
from serving.engine.packing import PackedText, pack_text
from serving.engine.types import Encoded

_POOLER = "pooler.dense.weight"


def _build(config: Any, names: set[str], attention: str) -> nn.Module:
    model: nn.Module = BertModel._from_config(config, attn_implementation=attention, add_pooling_layer=_POOLER in names)
    return model


def _layers(model: Any) -> Sequence[str]:
    return [f"encoder.layer.{number}" for number in range(len(model.encoder.layer))]


def _pack(_config: Any, inputs: Sequence[Encoded], device: str) -> PackedText:
    return pack_text(inputs, device)


def _embed(model: Any, packed: PackedText) -> Tensor:
    embedded: Tensor = model.embeddings(packed.input_ids, packed.token_type_ids, packed.positions)
    return embedded


def _attend(_model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    attended: Tensor = layer.attention.self(hidden, packed=lengths)[0]
    return attended


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    output: Tensor = layer.feed_forward_chunk(layer.attention.output(attended, hidden))
    return output


def _pool(model: Any, rows: Tensor) -> Tensor:
    if model.pooler is None:
        return rows
    pooled: Tensor = model.pooler.activation(model.pooler.dense(rows))
    return pooled


def _classify(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
    if _POOLER in tensors:  # the base had no pooler, so each expert keeps its own
        features = torch.tanh(F.linear(features, tensors[_POOLER], tensors["pooler.dense.bias"]))
    return F.linear(features, tensors["classifier.weight"], tensors["classifier.bias"])


CLASSIFIER = Head(needs=("classifier.weight", "classifier.bias"), reading=FIRST, pooled=True, apply=_classify)


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


FAMILY = Family(
    build=_build,
    layers=_layers,
    pooler=("pooler",),
    behind=("attention.output", "intermediate", "output"),
    pack=_pack,
    embed=_embed,
    attend=_attend,
    finish=_finish,
    pool=_pool,
    head=_head,
    max_tokens=lambda config: int(config.max_position_embeddings),
)
