"""The weights that stacks are made of, read where they lie.

with open_sources(material) as sources:
    for block, tensors in sources.weights(stack): ...
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints import Readable
from merge_builder.checkpoints.dtypes import cast
from merge_builder.checkpoints.files import read_json
from merge_builder.checkpoints.tensor_writer import payload_bytes
from merge_builder.errors import InputError
from merge_builder.ladder import rung_at
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.manifest import Block
from merge_builder.task_weights import open_task
from merge_builder.tuning.bench import Tensors
from merge_builder.tuning.depth.families import Restackable, restackable
from merge_builder.tuning.depth.stack import BASE, MERGED, Placed, Stack
from merge_builder.tuning.material import Material


@dataclass(frozen=True)
class Sources:
    """`merged` are the tensors of the untuned ladder's last rung, which all tasks share, by canonical name."""

    material: Material
    family: Restackable
    merged: Mapping[str, Readable]

    @property
    def names(self) -> tuple[str, ...]:
        """What a layer may be taken from: the untuned 1x model, and each task's expert."""
        return (MERGED, *self.material.tasks)

    @cached_property
    def depth(self) -> int:
        """The base's layers."""
        return 1 + max(found[0] for name in self.specs if (found := self.family.split(name)))

    def blocks(self, depth: int) -> tuple[Block, ...]:
        """The blocks of a model of so many layers, in the order of the forward pass."""
        placed: dict[str, list[tuple[tuple[int, ...], TensorSpec]]] = {}
        for spec in self._of_depth(depth):
            found = self.material.layout.block_of(spec.name, self.material.ladder.manifest.granularity)
            assert found is not None, "a layer's tensors match rules whatever its number"
            placed.setdefault(found[1], []).append((found[0], spec))
        ordered = sorted(placed.items(), key=lambda item: min(order for order, _ in item[1]))
        return tuple(_block(name, own) for name, own in ordered)

    def weights(self, stack: Stack) -> Iterator[tuple[str, Tensors]]:
        """The stack's tensors block by block, scales folded in, in the dtypes that a ladder would store."""
        factors = list(self.family.factors(stack))
        for block in self.blocks(len(stack.layers)):
            tensors = {}
            for spec in block.tensors:
                found = self.family.split(spec.name)
                if found is None:
                    tensors[spec.name] = cast(self._read(stack.rest, spec.name), spec.dtype)
                    continue
                own: Placed = stack.layers[found[0]]
                values = self._read(own.source, self.family.name(own.layer, found[1]))
                parts, factor = factors[found[0]]
                if factor != 1 and found[1].startswith(parts):
                    values = values * np.float32(factor)
                tensors[spec.name] = cast(values, spec.dtype)
            yield block.name, tensors

    def _of_depth(self, depth: int) -> Iterator[TensorSpec]:
        for name, spec in self.specs.items():
            found = self.family.split(name)
            if found is None:
                yield spec
            elif found[0] == 0:
                yield from (
                    spec.model_copy(update={"name": self.family.name(number, found[1])}) for number in range(depth)
                )

    def _read(self, source: str, name: str) -> NDArray[np.float32]:
        if source == MERGED:
            tensor = self.merged[name]
        else:
            block, index = self._origins[name]
            inputs = self.material.blocks[block]
            tensor = (inputs.base if source == BASE else inputs.experts[self.material.tasks.index(source)])[index]
        values: NDArray[Any] = tensor.read()
        return values.astype(np.float32, copy=False).reshape(self.specs[name].shape)

    @cached_property
    def _origins(self) -> dict[str, tuple[str, int]]:
        blocks = self.material.blocks
        return {tensor: (name, index) for name, own in blocks.items() for index, tensor in enumerate(own.names)}

    @cached_property
    def specs(self) -> dict[str, TensorSpec]:
        """The base's tensors by name, as merged versions are stored."""
        return {spec.name: spec for block in self.material.ladder.manifest.blocks for spec in block.tensors}


@contextmanager
def open_sources(material: Material) -> Iterator[Sources]:
    """Open the untuned ladder's 1x model beside `material`.

    Raises:
        InputError: the family cannot be restacked, or its layers are not alike.
    """
    ladder = material.ladder
    family = restackable(read_json(ladder.base_dir / "config.json"), "the recipe's base")
    last = rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1)
    with open_task(ladder, last, material.tasks[0]) as merged:
        sources = Sources(material, family, merged)
        _check_alike(sources)
        yield sources


def _check_alike(sources: Sources) -> None:
    layers: dict[int, set[tuple[str, tuple[int, ...]]]] = {}
    for name, spec in sources.specs.items():
        if found := sources.family.split(name):
            layers.setdefault(found[0], set()).add((found[1], spec.shape))
    for number, own in layers.items():
        if own != layers[0]:
            raise InputError(f"layer {number} of the base is not like its layer 0: its layers cannot be restacked")


def _block(name: str, placed: list[tuple[tuple[int, ...], TensorSpec]]) -> Block:
    specs = tuple(spec for _, spec in sorted(placed, key=lambda own: (own[0], own[1].name)))
    return Block(name=name, bytes=sum(map(payload_bytes, specs)), tensors=specs)
