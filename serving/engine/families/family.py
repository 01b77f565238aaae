"""What the engine must know about a transformers architecture: the parts that a family adapter declares."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from serving.engine.attention import Lengths as Lengths
from serving.engine.heads.head import Head
from serving.engine.routed import Twin


def _unchanged(_model: nn.Module, rows: Tensor) -> Tensor:
    return rows


@dataclass(frozen=True)
class Family:
    """One architecture. Sequences lie end to end along axis 1 of all hidden states: (1, tokens, hidden).

    `modality`: what its inputs are: `Encoded` texts or `Image`s.
    `build(config, names, attention)`: the encoder, with the parts that the merged tensors `names` belong to.
    `layers(model)`: the paths of its layers, in order; a path occurs again where a layer is used again.
    `tail`: the paths of the modules that work on single tokens after the last layer (a last norm).
    `pooler`: the paths of the modules that work on what a head reads.
    `everywhere`: the paths of the modules that the attention of every layer draws on.
    `behind`: the paths, within a layer, of the modules that work on each token by itself once attention is done. Most
    heads need one token of a sequence only, so in the last layer they run on what is needed, and belong to the tail.
    `pack(config, inputs, device)`: what `embed` takes, for sequences in this order.
    `embed(model, packed)` -> (1, tokens, hidden).
    `attend(model, layer, hidden, lengths)` -> (1, tokens, width): a layer up to the modules `behind`, exclusive.
    `finish(layer, attended, hidden)` -> (1, tokens, hidden): the rest of the layer.
    `after(model, rows)` -> (1, tokens, hidden), through the tail.
    `pool(model, rows)` -> (1, sequences, features), through the merged part of the pooler.
    `head(config, names)`: how a classifier with this config.json, whose own tensors are `names`, answers.
    `token_head(config, names)`: the same of a task that reads every token, where that is more than one linear layer.
    `vector_head(config, names)`: the same of an encoder without a head whose vector is another than its tokens' mean.
    `max_tokens(config)`: the most tokens of a sequence.
    `image_tokens(config, height, width)`: the tokens of an image of this size (images alone).
    `grid(config, image, layer)`: the rows and columns of patches with which an image enters the layer with that number,
    and what else images have to be alike in, where attention depends on them: then `attend` takes (images, grid) in
    place of (sequences, length).
    `merges(config)`: how many tokens become one, by the number of the layer whose `attend` does that.
    `unread`: merged tensors that no answer depends on; `build` leaves them out.
    `twins`: routed twins for types of leaves beside linear layers, embedding tables and layer norms.
    """

    build: Callable[[Any, set[str], str], nn.Module]
    layers: Callable[[Any], Sequence[str]]
    behind: tuple[str, ...]
    pack: Callable[[Any, Sequence[Any], str], Any]
    embed: Callable[[Any, Any], Tensor]
    attend: Callable[[Any, Any, Tensor, Any], Tensor]
    finish: Callable[[Any, Tensor, Tensor], Tensor]
    head: Callable[[Mapping[str, Any], Collection[str]], Head]
    max_tokens: Callable[[Any], int]
    modality: Literal["text", "image"] = "text"
    tail: tuple[str, ...] = ()
    pooler: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    after: Callable[[Any, Tensor], Tensor] = _unchanged
    pool: Callable[[Any, Tensor], Tensor] = _unchanged
    image_tokens: Callable[[Any, int, int], int] | None = None
    token_head: Callable[[Mapping[str, Any], Collection[str]], Head] | None = None
    vector_head: Callable[[Mapping[str, Any], Collection[str]], Head] | None = None
    grid: Callable[[Any, Any, int], tuple[int, ...]] | None = None
    merges: Callable[[Any], Mapping[int, int]] | None = None
    unread: frozenset[str] = frozenset()
    twins: Mapping[type[nn.Module], Twin] = field(default_factory=dict)
