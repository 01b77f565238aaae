"""Heads of sequence classifiers and regressions: one or two linear layers on what is read of a sequence."""

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor

from serving.engine.heads.head import Head
from serving.engine.heads.reading import FIRST


def linear(name: str) -> Head:
    """A linear layer `name` behind the family's pooler."""

    def apply(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
        return _linear(tensors, name, features)

    return Head(needs=_parameters(name), reading=FIRST, pooled=True, apply=apply)


def two_layers(inner: str, activation: Callable[[Tensor], Tensor], outer: str) -> Head:
    """Two linear layers of the task's own, on the first token."""

    def apply(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
        return _linear(tensors, outer, activation(_linear(tensors, inner, features)))

    return Head(needs=(*_parameters(inner), *_parameters(outer)), reading=FIRST, pooled=False, apply=apply)


def _parameters(name: str) -> tuple[str, str]:
    return f"{name}.weight", f"{name}.bias"


def _linear(tensors: Mapping[str, Tensor], name: str, features: Tensor) -> Tensor:
    weight, bias = (tensors[parameter] for parameter in _parameters(name))
    return F.linear(features, weight, bias)
