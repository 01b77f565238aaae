"""Heads of image classifiers, and what they read of an image's tokens: its own ones come first, then its patches."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from serving.engine.heads.head import Head
from serving.engine.heads.reading import FIRST, Reading, mean_behind


def linear_classifier(reading: Reading, *, pooled: bool = False) -> Head:
    """A linear layer on what `reading` makes of the tokens."""
    return Head(needs=("classifier.weight", "classifier.bias"), reading=reading, pooled=pooled, apply=_classify)


def _classify(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
    return F.linear(features, tensors["classifier.weight"], tensors["classifier.bias"])


def _first_and_mean(tokens: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    return torch.cat([FIRST.read(tokens, starts, lengths), PATCHES.read(tokens, starts, lengths)], dim=1)


PATCHES = Reading("mean of patches", whole=True, read=mean_behind(1))
FIRST_AND_PATCHES = Reading("first, then mean of patches", whole=True, read=_first_and_mean)
