"""What a head reads of a sequence behind the last layer: its first token, or a mean of several."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Reading:
    """One way to make a vector of a sequence's tokens.

    `whole` is whether it needs all tokens of a sequence; otherwise the first alone is computed and given to it.
    `read(tokens, starts, lengths)` -> (sequences, features), from `tokens` (all tokens, hidden) and, for the sequences
    that are asked for, the index of the first token and the number of tokens, both int64 of shape (sequences,).
    """

    name: str
    whole: bool
    read: Callable[[Tensor, Tensor, Tensor], Tensor]


def _first(tokens: Tensor, starts: Tensor, _lengths: Tensor) -> Tensor:
    return tokens.index_select(0, starts)


def mean_behind(skipped: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The `read` of a mean over all tokens of a sequence but the first `skipped`."""

    def read(tokens: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
        counts = lengths - skipped
        owner = torch.arange(len(starts), device=tokens.device).repeat_interleave(counts)
        begin = (starts + skipped - (counts.cumsum(0) - counts)).repeat_interleave(counts)
        index = begin + torch.arange(len(begin), device=tokens.device)
        sums = tokens.new_zeros(len(starts), tokens.shape[1]).index_add_(0, owner, tokens.index_select(0, index))
        return sums / counts[:, None]

    return read


FIRST = Reading("first", whole=False, read=_first)
MEAN = Reading("mean", whole=True, read=mean_behind(0))
