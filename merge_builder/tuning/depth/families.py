"""Families whose layers can be restacked, and how a scaled hidden state is folded into their weights.

Where a layer ends in a norm, its weight and bias are multiplied: exact. Where norms stand before what a layer adds, the
sum that flows past them cannot be multiplied; but all that comes later reads it through norms, which do not see its
scale (up to their epsilon). So what later layers add is divided by the product of the scales before them instead.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from merge_builder.errors import InputError
from merge_builder.tuning.depth.stack import Stack

LARGEST = 2.0  # scale, as published
_LEAST_PRENORM = 0.25  # a sum cannot be multiplied by 0 by what is added to it later


@dataclass(frozen=True)
class Restackable:
    """A family, by canonical names: tensors of layer 3 begin with `layers` and `3.`.

    `depth` is the number of layers in config.json. Of `ends` the weights are multiplied by a layer's scale; `adds` are
    what a layer adds, its bias included: one of the two.
    """

    model_types: tuple[str, ...]
    layers: str = "encoder.layer."
    depth: str = "num_hidden_layers"
    ends: str = ""
    adds: tuple[str, ...] = ()

    @property
    def least(self) -> float:
        """The smallest scale."""
        return _LEAST_PRENORM if self.adds else 0.0

    def split(self, tensor: str) -> tuple[int, str] | None:
        """The layer's number and the name within it; None for what is of no layer."""
        if not tensor.startswith(self.layers):
            return None
        number, _, part = tensor.removeprefix(self.layers).partition(".")
        return int(number), part

    def name(self, layer: int, part: str) -> str:
        """The tensor `part` of layer number `layer`."""
        return f"{self.layers}{layer}.{part}"

    def factors(self, stack: Stack) -> Iterator[tuple[tuple[str, ...], float]]:
        """For each layer of the stack the parts of it that are to be multiplied, by how they begin, and by how much."""
        before = 1.0
        for own in stack.layers:
            yield ((self.ends,), own.scale) if self.ends else (self.adds, 1 / before)
            before *= own.scale

    def config(self, config: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """`config` for another depth. Stages for dense outputs are named anew by transformers."""
        return {key: value for key, value in config.items() if key not in _STAGES} | {self.depth: depth}


_STAGES = ("stage_names", "out_features", "out_indices")
_BRANCHES = ("attention.output.dense.", "output.dense.")
FAMILIES = (
    Restackable(("bert", "roberta", "xlm-roberta", "camembert", "electra", "mpnet"), ends="output.LayerNorm."),
    Restackable(("distilbert",), layers="transformer.layer.", depth="n_layers", ends="output_layer_norm."),
    Restackable(("vit", "deit"), adds=_BRANCHES),
    Restackable(("dinov2",), adds=("layer_scale1.", "layer_scale2.")),
)


def restackable(config: Mapping[str, Any], path: object) -> Restackable:
    """The family of a base's config.

    Raises:
        InputError: its layers cannot be restacked.
    """
    for family in FAMILIES:
        if config.get("model_type") in family.model_types:
            return family
    known = ", ".join(sorted(name for family in FAMILIES for name in family.model_types))
    raise InputError(
        f"{path}: the layers of a {config.get('model_type')!r} model cannot be chosen one by one (only of {known}): "
        "take another tuner"
    )
