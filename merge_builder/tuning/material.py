"""What is merged in a search: the experts' task vectors, read where they lie, at the groups of one rung.

with open_material(recipe, ladder) as material:
    for place in material.places(rung): ...
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merge_builder.blocks import Layout
from merge_builder.build import block_input
from merge_builder.checkpoints.dtypes import cast
from merge_builder.errors import InputError
from merge_builder.inputs import Inputs, open_inputs
from merge_builder.ladder import Ladder, RungSize, Version, rung_at
from merge_builder.linkage import Group
from merge_builder.materialise import BlockInput
from merge_builder.methods.contract import Array
from merge_builder.recipe import Recipe
from merge_builder.tuning.bench import Tensors
from merge_builder.tuning.candidate import Formula, Site


@dataclass(frozen=True)
class Place:
    """One merged version of a rung and the tasks, by index, that use it."""

    version: Version
    group: Group


@dataclass(frozen=True)
class Material:
    """An untuned ladder beside the checkpoints it was built from.

    `stages[block]` counts the stages of the forward pass, as `Inputs.stages` does.
    """

    ladder: Ladder
    layout: Layout
    blocks: Mapping[str, BlockInput]
    stages: Mapping[str, int]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks' names, in the ladder's order."""
        return tuple(task.name for task in self.ladder.manifest.tasks)

    @cached_property
    def still(self) -> frozenset[str]:
        """The tensors in which no expert differs from the base (frozen embeddings): nothing can be tuned there."""
        return frozenset(name for block in self.blocks.values() for name in _unchanged(block))

    def places(self, rung: RungSize) -> tuple[Place, ...]:
        """The merged versions that `rung` uses and that a search can change, in block order."""
        stored = rung_at(self.ladder.manifest, rung.index).stored()
        return tuple(
            Place(version, tuple(self.tasks.index(task) for task in version.tasks))
            for version in stored
            if version.kind == "merged" and not self.still.issuperset(self.blocks[version.block].names)
        )

    def merge(self, place: Place, formula: Formula) -> Tensors:
        """The version's tensors as `formula` makes them, in the dtypes that the ladder stores."""
        block = self.blocks[place.version.block]
        specs = block.specs(place.group, "merged")
        tensors = {}
        for index, (name, spec) in enumerate(zip(block.names, specs, strict=True)):
            base = _read(block, index)
            if name not in self.still:
                base = formula(Site(block, index, place.group)) + base
            tensors[name] = cast(base, spec.dtype)
        return tensors


@contextmanager
def open_material(recipe: Recipe, ladder: Ladder) -> Iterator[Material]:
    """Open the checkpoints of `recipe`, of which `ladder` was built.

    Raises:
        InputError: as `open_inputs`; the ladder has the tasks in another order.
    """
    with open_inputs(recipe) as inputs:
        if list(recipe.tasks) != [task.name for task in ladder.manifest.tasks]:
            raise InputError(f"{ladder.root} has the recipe's tasks in another order: remove it to build it anew")
        yield _material(inputs, ladder)


def _material(inputs: Inputs, ladder: Ladder) -> Material:
    names = list(inputs.base_parts.blocks)
    blocks = {name: block_input(inputs, name, {}) for name in names}
    return Material(ladder, inputs.layout, blocks, dict(zip(names, inputs.stages(), strict=True)))


def _read(block: BlockInput, index: int) -> Array:
    origin = block.base[index]
    values: Array = origin.read().astype(np.float32, copy=False).reshape(origin.shape)
    return values


def _unchanged(block: BlockInput) -> Iterator[str]:
    for index, name in enumerate(block.names):
        base = block.base[index].read()
        if all(own[index].dtype == block.base[index].dtype for own in block.experts) and all(
            np.array_equal(own[index].read(), base) for own in block.experts
        ):
            yield name
