"""A stack: which layers one encoder is made of, whose they are, and how they are scaled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Sources beside the experts, which go by their tasks' names; no task can be named so.
BASE, MERGED = "(base)", "(merged)"


@dataclass(frozen=True)
class Placed:
    """The layer number `layer` of `source`; the hidden state that leaves it is multiplied by `scale`."""

    source: str
    layer: int
    scale: float = 1.0


@dataclass(frozen=True)
class Stack:
    """Layers from the input on, and the source of all that is no layer: embeddings, the last norm, the pooler."""

    rest: str
    layers: tuple[Placed, ...]

    @property
    def genes(self) -> dict[str, Any]:
        """As a journal and a manifest keep it."""
        return {
            "method": "depth",
            "rest": self.rest,
            "layers": [[own.source, own.layer, own.scale] for own in self.layers],
        }


def integrate(rest: str, chosen: Sequence[Sequence[str]], scales: Sequence[float]) -> Stack:
    """The stack of the sources `chosen` at each layer of the base, in their order; where none is, the base's own layer.

    `scales[l]` multiplies the hidden state that leaves the last one chosen at layer l.
    """
    layers = []
    for number, (sources, scale) in enumerate(zip(chosen, scales, strict=True)):
        *before, last = sources or (BASE,)
        layers += [Placed(source, number) for source in before] + [Placed(last, number, scale)]
    return Stack(rest, tuple(layers))


def whole(source: str, layers: int) -> Stack:
    """The model of one source, as it is."""
    return integrate(source, [[source]] * layers, [1.0] * layers)


def stack_of(genes: Mapping[str, Any]) -> Stack:
    """The stack that `Stack.genes` describes."""
    return Stack(genes["rest"], tuple(Placed(*own) for own in genes["layers"]))
