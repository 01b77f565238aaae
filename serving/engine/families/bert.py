"""BERT: `BertForSequenceClassification` checkpoints (pooler on the first token, then a linear classifier)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertModel

from serving.engine.families.family import Family, Packed

_POOLER = "pooler.dense.weight"


def _build(config: Any, names: set[str], attention: str) -> nn.Module:
    model: nn.Module = BertModel._from_config(config, attn_implementation=attention, add_pooling_layer=_POOLER in names)
    return model


def _embed(model: Any, packed: Packed) -> Tensor:
    embedded: Tensor = model.embeddings(packed.input_ids, packed.token_type_ids, packed.positions)
    return embedded


def _attend(layer: Any, hidden: Tensor, lengths: Sequence[tuple[int, int]]) -> Tensor:
    attended: Tensor = layer.attention.self(hidden, packed=lengths)[0]
    return attended


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    output: Tensor = layer.feed_forward_chunk(layer.attention.output(attended, hidden))
    return output


def _first_token(rows: Tensor, starts: Tensor) -> Tensor:
    return rows.index_select(1, starts)


def _pool(model: Any, rows: Tensor) -> Tensor:
    if model.pooler is None:
        return rows
    pooled: Tensor = model.pooler.activation(model.pooler.dense(rows))
    return pooled


def _head(tensors: Mapping[str, Tensor], rows: Tensor) -> Tensor:
    if _POOLER in tensors:  # the base had no pooler, so each expert keeps its own
        rows = torch.tanh(F.linear(rows, tensors[_POOLER], tensors["pooler.dense.bias"]))
    return F.linear(rows, tensors["classifier.weight"], tensors["classifier.bias"])


FAMILY = Family(
    build=_build,
    layers="encoder.layer",
    tail=("pooler",),
    behind=("attention.output", "intermediate", "output"),
    embed=_embed,
    attend=_attend,
    finish=_finish,
    gather=_first_token,
    pool=_pool,
    head=_head,
    head_tensors=("classifier.weight", "classifier.bias"),
    max_positions=lambda config: int(config.max_position_embeddings),
)
