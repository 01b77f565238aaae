"""Routed twins: they stand in a transformers model where its leaf modules stood, and hold no weights of their own.

A twin looks up which versions of its block the plan runs at this stage, and applies each to its slices of the tokens.
Tokens always lie along axis 1 of a leaf's input: (1, tokens, ...).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serving.engine.layout import Unit
from serving.engine.linear import Int8Weight, Stored, linear, linear_into
from serving.engine.plan import Run, Slice
from serving.engine.reconstruct import MaskedWeights

# (block, version id) -> tensor name -> tensor
Weights = Mapping[tuple[str, str], Stored | MaskedWeights]
Apply = Callable[..., Tensor]
Into = Callable[..., None]


@dataclass
class Route:
    """What all twins of a model read: the rung's weights, and the runs of the stage that is being computed."""

    weights: Weights = field(default_factory=dict)
    runs: Mapping[Unit, tuple[Run, ...]] = field(default_factory=dict)


class Routed(nn.Module):
    """One twin. `apply(input, **parameters)` is what the leaf does; `parameters[name]` is (tensor name, block).

    `into(input, out, **parameters)`, where there is one, writes the same into `out`, which is `width` wide.
    `table` is the name of the tensor in whose rows the leaf looks its input up, `matrix` that of the tensor that it
    multiplies its input by, if it does just that.
    """

    def __init__(
        self,
        apply: Apply,
        parameters: Mapping[str, tuple[str, str]],
        route: Route,
        *,
        into: Into | None = None,
        width: int = 0,
        table: str | None = None,
        matrix: str | None = None,
    ) -> None:
        super().__init__()
        self.table, self.matrix = table, matrix
        self._into, self._width = into, width
        self.unit: Unit = tuple(dict.fromkeys(block for _, block in parameters.values()))
        self._apply_leaf, self.route = apply, route
        self._parts = [(name, tensor, self.unit.index(block)) for name, (tensor, block) in parameters.items()]

    def __call__(self, tokens: Tensor) -> Tensor:
        """The leaf's output for every token, by the version that the plan gives it.

        There is no `forward` behind it: torch's hooks, which nobody sets here, would cost a lone text some percent.
        """
        runs = self.route.runs[self.unit]
        if len(runs) == 1:
            return self._run(runs[0], tokens)
        out = None if self._into is None else tokens.new_empty((1, tokens.shape[1], self._width))
        for run in runs:
            if self._into is not None and out is not None and len(run.slices) == 1:
                ((start, end),) = run.slices
                self._into(tokens[:, start:end], out[:, start:end], **self._tensors(run))
                continue
            pieces = [tokens[:, start:end] for start, end in run.slices]
            result = self._run(run, pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1))
            if out is None:
                out = result.new_empty((1, tokens.shape[1], *result.shape[2:]))
            parts = torch.split(result, [end - start for start, end in run.slices], dim=1)
            for (start, end), part in zip(run.slices, parts, strict=True):
                out[:, start:end] = part
        assert out is not None
        return out

    def _run(self, run: Run, tokens: Tensor) -> Tensor:
        if self.table is not None:
            version = self.route.weights[self.unit[0], run.versions[0]]
            if isinstance(version, MaskedWeights):
                return version.look_up(self.table, tokens)
        return self._apply_leaf(tokens, **self._tensors(run))

    def _tensors(self, run: Run) -> dict[str, Tensor | Int8Weight]:
        weights = self.route.weights
        if len(self.unit) == 1:  # as nearly always
            version = weights[self.unit[0], run.versions[0]]
            return {name: version[tensor] for name, tensor, _ in self._parts}
        versions = [weights[at] for at in zip(self.unit, run.versions, strict=True)]
        return {name: versions[place][tensor] for name, tensor, place in self._parts}


class Nothing(nn.Module):
    """Stands where a dropout stood, which does nothing either outside training, but takes longer."""

    def __call__(self, tokens: Tensor) -> Tensor:
        """As they are."""
        return tokens


class RoutedParameter(nn.Module):
    """The twin of a parameter that is not applied token by token, such as a table of positions.

    Its user asks which version there is for which of the tokens.
    """

    _is_hf_initialized = True  # so that transformers does not try to give it a value

    def __init__(self, tensor: str, block: str, route: Route) -> None:
        super().__init__()
        self.unit: Unit = (block,)
        self._tensor, self.route = tensor, route

    def versions(self) -> Iterator[tuple[Tensor, tuple[Slice, ...]]]:
        """Each version that the stage runs, and the slices of the tokens that it is for."""
        for run in self.route.runs[self.unit]:
            yield self.route.weights[self.unit[0], run.versions[0]][self._tensor], run.slices  # type: ignore[misc]


# Makes the routed twin of a leaf, as `twin_of` does.
Twin = Callable[[Any, Mapping[str, tuple[str, str]], Route], nn.Module]


def twin_of(
    leaf: nn.Module, tensors: Mapping[str, tuple[str, str]], route: Route, twins: Mapping[type[nn.Module], Twin]
) -> nn.Module:
    """The routed twin of a leaf; `tensors` gives the (tensor name, block) of each of its parameters by its name.

    `twins` are those of types of leaves that the architecture has of its own.

    Raises:
        TypeError: the engine has no twin for modules of this type.
    """
    if twin := twins.get(type(leaf)):
        return twin(leaf, tensors, route)
    match leaf:
        case nn.Linear() if len({block for _, block in tensors.values()}) > 1:
            # Apart, so that a version of the weight still runs once where the bias has more versions.
            weight, bias = ({name: tensors[name]} for name in ("weight", "bias"))
            return nn.Sequential(_linear(leaf, weight, route), Routed(_add, bias, route))
        case nn.Linear():
            return _linear(leaf, tensors, route)
        case nn.LayerNorm():
            shape, eps = leaf.normalized_shape, leaf.eps
            return Routed(lambda x, **parameters: F.layer_norm(x, shape, eps=eps, **parameters), tensors, route)
        case nn.Embedding():
            return Routed(F.embedding, tensors, route, table=tensors["weight"][0])
    raise TypeError(f"no routed twin for {type(leaf).__name__}")


def _linear(leaf: nn.Linear, tensors: Mapping[str, tuple[str, str]], route: Route) -> Routed:
    matrix, _ = tensors["weight"]
    return Routed(linear, tensors, route, into=linear_into, width=leaf.out_features, matrix=matrix)


def _add(tokens: Tensor, bias: Tensor) -> Tensor:
    return tokens + bias
