"""RoBERTa, XLM-R and CamemBERT: BERT's layers; positions count behind the padding token's id, and heads bring a layer
of their own instead of a pooler."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from serving.engine.families import bert
from serving.engine.heads.classifier import two_layers
from serving.engine.heads.head import Head
from serving.engine.packing import PackedText, pack_text
from serving.engine.types import Encoded

CLASSIFIER = two_layers("classifier.dense", torch.tanh, "classifier.out_proj")


def _pack(config: Any, inputs: Sequence[Encoded], device: str) -> PackedText:
    return pack_text(inputs, device, padding=config.pad_token_id)


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


FAMILY = replace(
    bert.FAMILY,
    pack=_pack,
    head=_head,
    max_tokens=lambda config: int(config.max_position_embeddings - config.pad_token_id - 1),
)
