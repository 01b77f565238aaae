"""A row for each family of texts, and for what its configurations can ask for besides: to add one, add a row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import transformers

TASKS = ("ant", "bee", "cat")


@dataclass(frozen=True)
class Row:
    """A configuration of a few layers, and the architectures of base and experts.

    `of_experts` are keys of the experts' configurations alone. `passes` counts the layers that a text goes through.
    `sizes` are (height, width) of images, where inputs are images, and `keywords` what lets a model take them all.
    `answer` is what the experts' output calls what they answer.
    """

    config: Callable[..., Any]
    base: str
    expert: str
    keys: dict[str, Any]
    of_experts: dict[str, Any] = field(default_factory=dict)
    passes: float = 3
    sizes: tuple[tuple[int, int], ...] = ()
    keywords: dict[str, bool] = field(default_factory=dict)
    answer: str = "logits"


_WIDTH = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "num_hidden_layers": 3}
_TEXT = _WIDTH | {"vocab_size": 100, "max_position_embeddings": 44, "layer_norm_eps": 1e-5}
_PADDED = _TEXT | {"pad_token_id": 1}
_DISTIL = {"dim": 32, "n_heads": 4, "hidden_dim": 48, "n_layers": 3, "vocab_size": 100, "max_position_embeddings": 44}
_MODERN = _WIDTH | {"vocab_size": 100, "max_position_embeddings": 44, "local_attention": 10, "pad_token_id": 0}
_DEBERTA = _TEXT | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
_DEBERTA_V3 = _DEBERTA | {
    "position_biased_input": False,
    "position_buckets": 6,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
}

ROWS = {
    "bert": Row(transformers.BertConfig, "BertModel", "BertForSequenceClassification", _TEXT),
    "bert-without-pooler": Row(transformers.BertConfig, "BertForMaskedLM", "BertForSequenceClassification", _TEXT),
    "roberta": Row(transformers.RobertaConfig, "RobertaModel", "RobertaForSequenceClassification", _PADDED),
    "xlm-roberta": Row(
        transformers.XLMRobertaConfig, "XLMRobertaForMaskedLM", "XLMRobertaForSequenceClassification", _PADDED
    ),
    "camembert": Row(transformers.CamembertConfig, "CamembertModel", "CamembertForSequenceClassification", _PADDED),
    "distilbert": Row(transformers.DistilBertConfig, "DistilBertModel", "DistilBertForSequenceClassification", _DISTIL),
    "distilbert-sinusoidal": Row(
        transformers.DistilBertConfig,
        "DistilBertForMaskedLM",
        "DistilBertForSequenceClassification",
        _DISTIL | {"sinusoidal_pos_embds": True},
    ),
    "electra": Row(
        transformers.ElectraConfig,
        "ElectraForPreTraining",
        "ElectraForSequenceClassification",
        _TEXT | {"embedding_size": 16},
    ),
    "electra-wide": Row(
        transformers.ElectraConfig, "ElectraModel", "ElectraForSequenceClassification", _TEXT | {"embedding_size": 32}
    ),
    "albert": Row(
        transformers.AlbertConfig,
        "AlbertModel",
        "AlbertForSequenceClassification",
        _TEXT | {"embedding_size": 16, "num_hidden_layers": 4, "num_hidden_groups": 2},
        passes=4,
    ),
    "albert-inner": Row(
        transformers.AlbertConfig,
        "AlbertForMaskedLM",
        "AlbertForSequenceClassification",
        _TEXT | {"embedding_size": 16, "num_hidden_layers": 2, "inner_group_num": 2},
        passes=4,
    ),
    "mpnet": Row(transformers.MPNetConfig, "MPNetForMaskedLM", "MPNetForSequenceClassification", _PADDED),
    "modernbert": Row(transformers.ModernBertConfig, "ModernBertModel", "ModernBertForSequenceClassification", _MODERN),
    "modernbert-mean": Row(
        transformers.ModernBertConfig,
        "ModernBertForMaskedLM",
        "ModernBertForSequenceClassification",
        _MODERN | {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "global_attn_every_n_layers": 2},
        of_experts={"classifier_pooling": "mean", "classifier_bias": True, "classifier_activation": "relu"},
    ),
    "deberta-v3": Row(
        transformers.DebertaV2Config, "DebertaV2Model", "DebertaV2ForSequenceClassification", _DEBERTA_V3
    ),
    "deberta-v2": Row(
        transformers.DebertaV2Config,
        "DebertaV2ForMaskedLM",
        "DebertaV2ForSequenceClassification",
        _DEBERTA_V3 | {"conv_kernel_size": 3, "conv_act": "gelu", "type_vocab_size": 2, "embedding_size": 16},
    ),
    "deberta-v2-of-one-layer": Row(
        transformers.DebertaV2Config,
        "DebertaV2Model",
        "DebertaV2ForSequenceClassification",
        _DEBERTA | {"conv_kernel_size": 3, "pooler_hidden_act": "tanh", "num_hidden_layers": 1},
        passes=1,
    ),
    "deberta-v2-one-way": Row(
        transformers.DebertaV2Config,
        "DebertaV2Model",
        "DebertaV2ForSequenceClassification",
        _DEBERTA | {"pos_att_type": ["p2c"], "max_relative_positions": 12},
    ),
    "deberta-v2-absolute": Row(
        transformers.DebertaV2Config, "DebertaV2Model", "DebertaV2ForSequenceClassification", _TEXT
    ),
}
