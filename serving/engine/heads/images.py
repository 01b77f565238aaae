"""What heads read of an image's tokens: its own ones (a class token, mostly) come first, then its patches."""

from dataclasses import replace

import torch
from torch import Tensor

from serving.engine.heads.classifier import linear
from serving.engine.heads.head import Head
from serving.engine.heads.reading import FIRST, Reading, mean_behind


def linear_classifier(reading: Reading, *, pooled: bool = False) -> Head:
    """A linear layer on what `reading` makes of the tokens."""
    return replace(linear("classifier"), reading=reading, pooled=pooled)


def _first_and_patches(tokens: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    return torch.cat([FIRST.read(tokens, starts, lengths), PATCHES.read(tokens, starts, lengths)], dim=1)


def _first_two(tokens: Tensor, starts: Tensor, _lengths: Tensor) -> Tensor:
    return torch.cat([tokens.index_select(0, starts), tokens.index_select(0, starts + 1)], dim=1)


PATCHES = Reading("mean of the patches", whole=True, read=mean_behind(1))
FIRST_AND_PATCHES = Reading("first token, then mean of the patches", whole=True, read=_first_and_patches)
FIRST_TWO = Reading("first two tokens", whole=True, read=_first_two)
