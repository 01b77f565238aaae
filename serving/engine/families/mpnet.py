"""MPNet: BERT's layers, whose attention adds a bias by relative position from one table for all layers."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import MPNetModel

from serving.engine.attention import attend
from serving.engine.families import bert
from serving.engine.families.family import Family, Lengths
from serving.engine.heads.classifier import two_layers
from serving.engine.heads.head import Head
from serving.engine.packing import PackedText, pack_text
from serving.engine.relative import Stretch, by_distance, distances, lengths_of, stretches
from serving.engine.types import Encoded

CLASSIFIER = two_layers("classifier.dense", torch.tanh, "classifier.out_proj")
_PADDING = 1  # whatever the config says; see MPNetEmbeddings


def _build(config: Any, names: set[str], _attention: str) -> nn.Module:
    model: nn.Module = MPNetModel(config, add_pooling_layer="pooler.dense.weight" in names)
    return model


def _pack(_config: Any, inputs: Sequence[Encoded], device: str) -> PackedText:
    return pack_text(inputs, device, padding=_PADDING)


def _embed(model: Any, packed: PackedText) -> Tensor:
    embedded: Tensor = model.embeddings(packed.input_ids, position_ids=packed.positions)
    return embedded


def _attend(model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    parts = stretches([model.encoder.relative_attention_bias], lengths)
    biases = [_bias(model.encoder, part, hidden.device) for part in parts]
    own = layer.attention.attn
    query, key, value = own.q(hidden), own.k(hidden), own.v(hidden)
    return attend(own.num_attention_heads, query, key, value, lengths_of(parts), biases=biases)


def _bias(encoder: Any, part: Stretch, device: torch.device) -> Tensor:
    """(heads, length, length), from the table that is for these sequences."""
    buckets = encoder.relative_position_bucket(distances(part.length, device))
    with part.alone():
        return by_distance(encoder.relative_attention_bias(buckets[None])[0].T)


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    hidden = layer.attention.LayerNorm(layer.attention.attn.o(attended) + hidden)
    output: Tensor = layer.output(layer.intermediate(hidden), hidden)
    return output


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


FAMILY = Family(
    build=_build,
    layers=bert.layers,
    pooler=("pooler",),
    everywhere=("encoder.relative_attention_bias",),
    behind=("attention.attn.o", "attention.LayerNorm", "intermediate", "output"),
    pack=_pack,
    embed=_embed,
    attend=_attend,
    finish=_finish,
    pool=bert.pool,
    head=_head,
    max_tokens=lambda config: int(config.max_position_embeddings - _PADDING - 1),
)
