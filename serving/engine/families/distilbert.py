"""DistilBERT: BERT's layers under other names, without token types and pooler."""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import relu
from transformers import DistilBertModel

from serving.engine.attention import attend
from serving.engine.families import bert
from serving.engine.families.family import Family, Lengths
from serving.engine.heads.classifier import two_layers
from serving.engine.heads.head import Head
from serving.engine.packing import PackedText

CLASSIFIER = two_layers("pre_classifier", relu, "classifier")


def _build(config: Any, _names: set[str], _attention: str) -> nn.Module:
    learned = copy(config)
    learned.sinusoidal_pos_embds = False  # whether or not they were made so: they come from the ladder
    model: nn.Module = DistilBertModel(learned)
    return model


def _layers(model: Any) -> Sequence[str]:
    return [f"transformer.layer.{number}" for number in range(len(model.transformer.layer))]


def _embed(model: Any, packed: PackedText) -> Tensor:
    embedded: Tensor = model.embeddings(packed.input_ids, position_ids=packed.positions)
    return embedded


def _attend(_model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    own = layer.attention
    return attend(own.n_heads, own.q_lin(hidden), own.k_lin(hidden), own.v_lin(hidden), lengths)


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    hidden = layer.sa_layer_norm(layer.attention.out_lin(attended) + hidden)
    output: Tensor = layer.output_layer_norm(layer.ffn(hidden) + hidden)
    return output


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


FAMILY = Family(
    build=_build,
    layers=_layers,
    behind=("attention.out_lin", "sa_layer_norm", "ffn", "output_layer_norm"),
    pack=bert.pack,
    embed=_embed,
    attend=_attend,
    finish=_finish,
    head=_head,
    max_tokens=lambda config: int(config.max_position_embeddings),
)
