"""The one instance of the transformers model: built without weights, every leaf that owns merged tensors routed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig

from merge_builder.blocks import layout_of
from merge_builder.errors import InputError
from merge_builder.ladder import Ladder
from serving.engine import attention
from serving.engine.families import family_of
from serving.engine.families.family import Family
from serving.engine.layout import Unit
from serving.engine.routed import Nothing, Route, Routed, RoutedParameter, twin_of


@dataclass(frozen=True)
class Skeleton:
    """A model without weights. `units[s]` are the units that the leaves of stage s read from; `route` steers them. The
    stages are the embeddings, the layers, the tail and the pooler. `merges` is how many tokens become one at a stage.

    `tables` names the tensors of which leaves only look rows up, `matrices` those of linear layers. `token_types` is
    None where the model has none, and does not look at them.
    """

    family: Family
    model: nn.Module
    route: Route
    units: tuple[tuple[Unit, ...], ...]
    merges: Mapping[int, int]
    tables: frozenset[str]
    matrices: frozenset[str]
    layers: tuple[nn.Module, ...]
    config: Any
    max_tokens: int
    vocabulary: int
    token_types: int | None


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
    # A ladder keeps the names that checkpoints have; the modules may go by newer ones.
    canonical = layout_of({"model_type": ladder.manifest.base.model_type}, ladder.base_dir).canonical
    _check_names(set(block_of) - family.unread, {canonical(name) for name, _ in model.named_parameters()})
    route = Route()
    _replace_leaves(model, block_of, canonical, route, family)
    for path in [path for path, module in model.named_modules() if isinstance(module, nn.Dropout)]:
        model.set_submodule(path, Nothing())
    _restore_buffers(model, device)
    return Skeleton(
        family=family,
        model=model,
        route=route,
        units=_units(model, family),
        merges={1 + layer: count for layer, count in (family.merges(config) if family.merges else {}).items()},
        layers=tuple(model.get_submodule(path) for path in family.layers(model)),
        config=config,
        tables=frozenset(m.table for m in model.modules() if isinstance(m, Routed) and m.table is not None),
        matrices=frozenset(m.matrix for m in model.modules() if isinstance(m, Routed) and m.matrix is not None),
        max_tokens=family.max_tokens(config),
        vocabulary=getattr(config, "vocab_size", 0),
        token_types=getattr(config, "type_vocab_size", None) or None,
    )


def _check_names(stored: set[str], expected: set[str]) -> None:
    if unknown := sorted(stored - expected):
        raise InputError(f"the ladder merges {unknown[0]}, which its base's config.json gives no place for")
    if missing := sorted(expected - stored):
        raise InputError(f"the ladder lacks {missing[0]}, which its base's config.json asks for")


def _replace_leaves(
    model: nn.Module, block_of: dict[str, str], canonical: Callable[[str], str], route: Route, family: Family
) -> None:
    owners = [(path, leaf) for path, leaf in model.named_modules() if list(leaf.parameters(recurse=False))]
    for path, leaf in owners:
        names = {name: canonical(f"{path}.{name}") for name, _ in leaf.named_parameters(recurse=False)}
        tensors = {name: (tensor, block_of[tensor]) for name, tensor in names.items()}
        if list(leaf.children()):  # no leaf: a module with parameters of its own beside those of its parts
            for name, (tensor, block) in tensors.items():
                delattr(leaf, name)
                leaf.add_module(name, RoutedParameter(tensor, block, route))
            continue
        try:
            model.set_submodule(path, twin_of(leaf, tensors, route, family.twins))
        except TypeError as error:
            raise InputError(f"{path} cannot be served: {error}") from error


def _restore_buffers(model: nn.Module, device: str) -> None:
    """Give the buffers that no checkpoint stores (position ids, rotary frequencies) their values."""
    model.to_empty(device=device)
    for module in model.modules():
        if list(module.buffers(recurse=False)):  # others would look for the weights that their leaves had
            model._init_weights(module)  # type: ignore[operator]


def _units(model: nn.Module, family: Family) -> tuple[tuple[Unit, ...], ...]:
    layers = family.layers(model)
    units: list[dict[Unit, None]] = [{} for _ in range(len(layers) + 3)]
    for path, module in model.named_modules():
        if isinstance(module, Routed | RoutedParameter):
            for stage in _stages(path, layers, family):
                units[stage][module.unit] = None
    return tuple(map(tuple, units))


def _stages(path: str, layers: Sequence[str], family: Family) -> Iterable[int]:
    """Where a leaf works: 0 is the embeddings, then the layers, the tail and what pools for the heads.

    The tail begins in the last layer, behind its attention.
    """
    tail = len(layers) + 1
    if _within(path, family.pooler):
        return [tail + 1]
    if _within(path, family.tail):
        return [tail]
    if _within(path, family.everywhere):
        return range(1, tail)
    stages = [stage for stage, layer in enumerate(layers, 1) if _within(path, (layer,))]
    if stages and stages[-1] == tail - 1 and _within(path, tuple(f"{layers[-1]}.{part}" for part in family.behind)):
        stages[-1] = tail
    return stages or [0]


def _within(path: str, modules: Sequence[str]) -> bool:
    return f"{path}.".startswith(tuple(f"{module}." for module in modules))
