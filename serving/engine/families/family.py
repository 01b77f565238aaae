"""What the engine must know about a transformers architecture: the parts that a family adapter declares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Packed:
    """Packed inputs: int64 tensors of shape (1, tokens), the sequences end to end."""

    input_ids: Tensor
    token_type_ids: Tensor
    positions: Tensor


@dataclass(frozen=True)
class Family:
    """One architecture. Module paths of the built model are the ladder's canonical tensor names.

    `build(config, names, attention)`: the encoder, with the parts that the merged tensors `names` belong to.
    `layers`: the path of the list of layers; what precedes them is the embeddings stage.
    `tail`: the paths of the modules that work after the last layer.
    `behind`: the paths, within a layer, of the modules that work on each token by itself once attention is done. Only
    one token of a sequence leaves the last layer, so there they run on that token alone, and belong to the tail.
    `embed(model, packed)` -> (1, tokens, hidden).
    `attend(layer, hidden, lengths)` -> (1, tokens, width): a layer up to the modules `behind`, exclusive; `lengths` is
    for `attention.packed_attention`.
    `finish(layer, attended, hidden)` -> (1, tokens, hidden): the rest of the layer.
    `gather(rows, starts)`: the one token of each sequence that the tail works on, (1, sequences, ...), from the index
    of every sequence's first token.
    `pool(model, rows)` -> (1, sequences, features), through the merged part of the tail.
    `head(tensors, rows)` -> (sequences, labels) by one task's own tensors, from rows (sequences, features).
    `head_tensors`: what a head must have, or it is of a kind that is not supported.
    `max_positions(config)`: the most tokens of a sequence.
    """

    build: Callable[[Any, set[str], str], nn.Module]
    layers: str
    tail: tuple[str, ...]
    behind: tuple[str, ...]
    embed: Callable[[Any, Packed], Tensor]
    attend: Callable[[nn.Module, Tensor, Sequence[tuple[int, int]]], Tensor]
    finish: Callable[[nn.Module, Tensor, Tensor], Tensor]
    gather: Callable[[Tensor, Tensor], Tensor]
    pool: Callable[[Any, Tensor], Tensor]
    head: Callable[[Mapping[str, Tensor], Tensor], Tensor]
    head_tensors: tuple[str, ...]
    max_positions: Callable[[Any], int]
