"""ModernBERT: pre-norm layers with rotary positions, most of which attend within a window, and gated feed-forwards."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ModernBertModel
from transformers.activations import ACT2FN
from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

from merge_builder.errors import InputError
from serving.engine.attention import attend, attend_near
from serving.engine.families import bert
from serving.engine.families.family import Family, Lengths
from serving.engine.heads.head import Head
from serving.engine.heads.reading import FIRST, MEAN, Reading
from serving.engine.packing import PackedText


def _build(config: Any, _names: set[str], _attention: str) -> nn.Module:
    for kind, rotary in config.rope_parameters.items():
        if rotary is not None and rotary["rope_type"] in ("dynamic", "longrope"):
            raise InputError(
                f"the base's rope_parameters of {kind} are of type {rotary['rope_type']!r}: such positions depend on "
                "the longest text of a batch, so an answer would depend on its company; they cannot be served"
            )
    model: nn.Module = ModernBertModel(config)
    return model


def _layers(model: Any) -> Sequence[str]:
    return [f"layers.{number}" for number in range(len(model.layers))]


def _embed(model: Any, packed: PackedText) -> Tensor:
    embedded: Tensor = model.embeddings(packed.input_ids)
    return embedded


def _attend(model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    own = layer.attn
    query, key, value = own.Wqkv(layer.attn_norm(hidden)).unflatten(-1, (3, -1, own.head_dim)).unbind(dim=2)
    positions = torch.cat([torch.arange(length).repeat(count) for count, length in lengths]).to(hidden.device)
    cos, sin = model.rotary_emb(hidden, positions[None], layer.attention_type)
    query, key = apply_rotary_pos_emb(query, key, cos, sin, unsqueeze_dim=2)
    heads, parts = query.shape[2], (query.flatten(2), key.flatten(2), value.flatten(2))
    if own.sliding_window is None:
        return attend(heads, *parts, lengths)
    return attend_near(heads, own.sliding_window - 1, *parts, lengths)  # it is one more than the greatest distance


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    hidden = hidden + layer.attn.Wo(attended)
    output: Tensor = hidden + layer.mlp(layer.mlp_norm(hidden))
    return output


def _after(model: Any, rows: Tensor) -> Tensor:
    normed: Tensor = model.final_norm(rows)
    return normed


def _head(config: Mapping[str, Any], _names: Collection[str]) -> Head:
    """A dense layer, a norm and the classifier, on the first token or the mean."""
    return _classifier(config, MEAN if config.get("classifier_pooling", "cls") == "mean" else FIRST)


def _token_head(config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return _classifier(config, None)


def _classifier(config: Mapping[str, Any], reading: Reading | None) -> Head:
    activation = ACT2FN[config.get("classifier_activation", "gelu")]
    eps = config.get("norm_eps", 1e-5)

    def apply(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
        features = activation(F.linear(features, tensors["head.dense.weight"], tensors.get("head.dense.bias")))
        weight = tensors["head.norm.weight"]
        features = F.layer_norm(features, weight.shape, weight, tensors.get("head.norm.bias"), eps)
        return F.linear(features, tensors["classifier.weight"], tensors["classifier.bias"])

    needs = ("head.dense.weight", "head.norm.weight", "classifier.weight", "classifier.bias")
    return Head(needs=needs, reading=reading, pooled=False, apply=apply)


FAMILY = Family(
    build=_build,
    layers=_layers,
    tail=("final_norm",),
    behind=("attn.Wo", "mlp_norm", "mlp"),
    pack=bert.pack,
    embed=_embed,
    attend=_attend,
    finish=_finish,
    after=_after,
    head=_head,
    token_head=_token_head,
    max_tokens=lambda config: int(config.max_position_embeddings),
)
