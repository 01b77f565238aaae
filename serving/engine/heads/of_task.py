"""The head of a task by its kind. Classifiers are a matter of their family; the other kinds are alike in most."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from merge_builder.ladder import kind_of
from merge_builder.ladder.manifest import Embedding, Task
from serving.engine.families.family import Family
from serving.engine.heads.head import Head
from serving.engine.heads.reading import FIRST, MEAN

# Of an encoder whose folder does not say how it pools.
_BY_MEAN = Embedding(pooling="mean", normalise=False)


def head_of(task: Task, family: Family) -> Head:
    """How `task` answers.

    Raises:
        InputError: its kind is not served.
    """
    names = {spec.name for spec in task.head.tensors}
    match kind_of(task):
        case "classification":
            return family.head(task.config, names)
        case "embedding" if task.embedding is None and family.vector_head is not None:
            return family.vector_head(task.config, names)
        case "embedding":
            return _embedding(task.embedding or _BY_MEAN)
        case _ if family.token_head is not None:
            return family.token_head(task.config, names)
        case "token_classification":
            return _every_token("classifier")
        case "question_answering":
            return _every_token("qa_outputs")


def _every_token(name: str) -> Head:
    weight, bias = f"{name}.weight", f"{name}.bias"

    def apply(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
        return F.linear(features, tensors[weight], tensors[bias])

    return Head(needs=(weight, bias), reading=None, pooled=False, apply=apply)


def _embedding(stored: Embedding) -> Head:
    reading = MEAN if stored.pooling == "mean" else FIRST
    return Head(needs=(), reading=reading, pooled=False, apply=_normalised if stored.normalise else _as_read)


def _as_read(_tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
    return features


def _normalised(_tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
    return F.normalize(features, dim=-1)
