"""The config.json of an adapter's model: the base's, with what the adapter tells of its task."""

import re
from collections.abc import Mapping
from typing import Any

from merge_builder.adapters.options import AdapterOptions
from merge_builder.blocks import Layout
from merge_builder.checkpoints import StoredTensor

_ENDINGS = {
    "CAUSAL_LM": "ForCausalLM",
    "FEATURE_EXTRACTION": "Model",
    "QUESTION_ANS": "ForQuestionAnswering",
    "SEQ_2_SEQ_LM": "ForConditionalGeneration",
    "SEQ_CLS": "ForSequenceClassification",
    "TOKEN_CLS": "ForTokenClassification",
}
# The last layer of a classifier: one row for each label.
_LABELS = r"(?:classifier|score|classifier\.out_proj|classification_head\.out_proj)\.weight"


def task_config(
    base: Mapping[str, Any], options: AdapterOptions, layout: Layout, whole: Mapping[str, StoredTensor]
) -> dict[str, Any]:
    """The base's config with the task model's architecture, and its labels where `whole` holds a classifier.

    Adapters do not tell their labels' names, so these are `LABEL_0`… unless the base names as many.
    """
    config = dict(base)
    if architecture := options.architecture or _architecture(base, options.task_type):
        config["architectures"] = [architecture]
    for name, tensor in whole.items():
        if layout.is_head(name) and re.fullmatch(_LABELS, name):
            labels = [f"LABEL_{i}" for i in range(tensor.shape[0])]
            if len(base.get("id2label") or ()) != len(labels):
                config["id2label"] = {str(i): label for i, label in enumerate(labels)}
                config["label2id"] = {label: i for i, label in enumerate(labels)}
    return config


def _architecture(base: Mapping[str, Any], task_type: str | None) -> str | None:
    architecture = next(iter(base.get("architectures") or ()), "")
    stem = re.fullmatch(r"(\w+?)(?:For\w+|EncoderModel|LMHeadModel|Model)", architecture)
    return stem[1] + _ENDINGS[task_type] if stem and task_type in _ENDINGS else None
