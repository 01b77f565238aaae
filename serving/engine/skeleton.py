"""The one instance of the transformers model: built without weights, every leaf that owns merged tensors routed."""

import re
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoConfig

from merge_builder.errors import InputError
from merge_builder.ladder import Ladder
from serving.engine import attention
from serving.engine.families import family_of
from serving.engine.families.family import Family
from serving.engine.layout import Unit
from serving.engine.routed import Route, Routed, twin_of


@dataclass(frozen=True)
class Skeleton:
    """A model without weights. `units[s]` are the units that the leaves of stage s read from; `route` steers them.

    `tables` names the tensors of which leaves only look rows up, `matrices` those of linear layers.
    """

    family: Family
    model: nn.Module
    route: Route
    units: tuple[tuple[Unit, ...], ...]
    tables: frozenset[str]
    matrices: frozenset[str]
    max_positions: int
    vocabulary: int
    token_types: int

    @property
    def layers(self) -> list[nn.Module]:
        """The encoder's layers, in order."""
        return list(self.model.get_submodule(self.family.layers).children())


def build_skeleton(ladder: Ladder, device: str) -> Skeleton:
    """Build the ladder's model on `device`, with a routed twin for every leaf.

    Raises:
        InputError: the family is not supported, or the ladder's tensors are not those of its base's architecture.
    """
    family = family_of(ladder.manifest.base.model_type)
    config = AutoConfig.from_pretrained(ladder.base_dir, local_files_only=True)
    block_of = {tensor.name: block.name for block in ladder.manifest.blocks for tensor in block.tensors}
    with torch.device("meta"):
        model = family.build(config, set(block_of), attention.NAME).eval()
    _check_names(set(block_of), {name for name, _ in model.named_parameters()})
    route = Route()
    _replace_leaves(model, block_of, route)
    _restore_buffers(model, device)
    return Skeleton(
        family=family,
        model=model,
        route=route,
        units=_units(model, family),
        tables=frozenset(m.table for m in model.modules() if isinstance(m, Routed) and m.table is not None),
        matrices=frozenset(m.matrix for m in model.modules() if isinstance(m, Routed) and m.matrix is not None),
        max_positions=family.max_positions(config),
        vocabulary=config.vocab_size,
        token_types=getattr(config, "type_vocab_size", 1),
    )


def _check_names(stored: set[str], expected: set[str]) -> None:
    if unknown := sorted(stored - expected):
        raise InputError(f"the ladder merges {unknown[0]}, which its base's config.json gives no place for")
    if missing := sorted(expected - stored):
        raise InputError(f"the ladder lacks {missing[0]}, which its base's config.json asks for")


def _replace_leaves(model: nn.Module, block_of: dict[str, str], route: Route) -> None:
    owners = [(path, leaf) for path, leaf in model.named_modules() if list(leaf.parameters(recurse=False))]
    for path, leaf in owners:
        names = {name: f"{path}.{name}" for name, _ in leaf.named_parameters(recurse=False)}
        tensors = {name: (tensor, block_of[tensor]) for name, tensor in names.items()}
        try:
            model.set_submodule(path, twin_of(leaf, tensors, route))
        except TypeError as error:
            raise InputError(f"{path} cannot be served: {error}") from error


def _restore_buffers(model: nn.Module, device: str) -> None:
    """Give the buffers that no checkpoint stores (position ids, rotary frequencies) their values."""
    model.to_empty(device=device)
    model.initialize_weights()  # type: ignore[operator]


def _units(model: nn.Module, family: Family) -> tuple[tuple[Unit, ...], ...]:
    tail = len(list(model.get_submodule(family.layers).children())) + 1
    units: list[dict[Unit, None]] = [{} for _ in range(tail + 1)]
    for path, module in model.named_modules():
        if isinstance(module, Routed):
            units[_stage(path, family, tail)][module.unit] = None
    return tuple(map(tuple, units))


def _stage(path: str, family: Family, tail: int) -> int:
    """0 is the embeddings, 1 the first layer, `tail` the tail, which begins in the last layer, behind its attention."""
    if layer := re.match(rf"{re.escape(family.layers)}\.(\d+)\.(.+)", path):
        stage = int(layer[1]) + 1
        ends = stage == tail - 1 and f"{layer[2]}.".startswith(tuple(f"{part}." for part in family.behind))
        return tail if ends else stage
    return tail if path.split(".")[0] in family.tail else 0
