"""Make every stored version of one block: the experts' own weights, and what the method makes of the groups.

A group is always made from its ORIGINAL members. Tensors stream through in chunks, so memory depends on neither
the model's size nor, for element-wise methods, the block's.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints import StoredTensor, TensorWriter
from merge_builder.checkpoints.dtypes import cast, numpy_dtype, widest
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.manifest import Kind
from merge_builder.ladder.masked import masked_specs
from merge_builder.linkage import Group
from merge_builder.masked_writer import MaskedWriter
from merge_builder.methods import Method
from merge_builder.methods.dare import Dare, sparsify
from merge_builder.similarity import chunk_size

# The "group" of the base's own version.
NOBODY: Group = ()


@dataclass(frozen=True)
class Stored:
    """A version to write: what it is, and its file."""

    kind: Kind
    path: Path


@dataclass(frozen=True)
class BlockInput:
    """One block of all inputs: its tensors' canonical names, the base's tensors, and each expert's in that order.

    `fisher`, where the method asks for it, holds each expert's Fisher values in the same order. `dtype` is what
    merged versions are stored in, by safetensors' name; None: the widest of their members' own. `stored_as` renames
    tensors in what is written.
    """

    name: str
    names: tuple[str, ...]
    base: Sequence[StoredTensor]
    experts: Sequence[Sequence[StoredTensor]]
    fisher: Sequence[Sequence[StoredTensor]] = ()
    dtype: str | None = None
    stored_as: Mapping[str, str] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """The bytes of one model's tensors."""
        return sum(tensor.nbytes for tensor in self.base)

    @property
    def bytes_read(self) -> int:
        """The bytes of all models' tensors."""
        return sum(tensor.nbytes for tensors in (self.base, *self.experts) for tensor in tensors)

    def specs(self, group: Group, kind: Kind) -> tuple[TensorSpec, ...]:
        """What a version of that kind stores: inputs' own dtypes, or for what is made of several `dtype` or the widest.

        A group whose version is an expert's holds that expert's bytes, whichever member's. The base is kept in `dtype`
        too where that is stated.
        """
        if kind == "masked":
            return masked_specs(self.specs(group, "merged"), len(group))
        if kind == "expert":
            sources, stated = [self.experts[group[0]]], None
        else:
            sources, stated = [self.base] if kind == "base" else [self.experts[k] for k in group], self.dtype
        return tuple(
            TensorSpec(
                name=self.stored_as.get(name, name),
                dtype=stated or widest([own[i].dtype for own in sources]),
                shape=self.base[i].shape,
            )
            for i, name in enumerate(self.names)
        )


@dataclass(frozen=True)
class Merging:
    """How groups are merged: the method, its parameters, and what it asks for of whole task vectors.

    `measured` holds that by the input's name, each for every task.
    """

    method: Method
    parameters: Mapping[str, Any]
    tasks: tuple[str, ...]
    dare: Dare | None = None
    measured: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def write_versions(
    block: BlockInput,
    versions: Mapping[Group, Stored],
    how: Merging,
    on_read: Callable[[int], None],
    turn: AbstractContextManager[Any] | None = None,
) -> dict[Group, str]:
    """Write `versions`, reading every input once; returns each file's sha256.

    `turn` is held while there is something to compute, but not while the disk is to have the files.
    """
    with ExitStack() as stack:
        with turn or nullcontext():
            specs = {group: block.specs(group, to.kind) for group, to in versions.items()}
            sinks = {group: _sink(specs[group], group, to, how, stack) for group, to in versions.items()}
            _fill(block, versions, specs, sinks, how, on_read)
        return {group: sink.finish() for group, sink in sinks.items()}


def _fill(
    block: BlockInput,
    versions: Mapping[Group, Stored],
    specs: Mapping[Group, Sequence[TensorSpec]],
    sinks: Mapping[Group, TensorWriter | MaskedWriter],
    how: Merging,
    on_read: Callable[[int], None],
) -> None:
    made = {group for group, version in versions.items() if version.kind in ("merged", "masked")}
    for index, origin in enumerate(block.base):
        # Masks are packed eight to a byte, so stretches start at multiples of eight.
        width = max(origin.size, 1) if how.method.unit == "tensor" else chunk_size(2 * len(block.experts) + 2) & ~7
        for start in range(0, origin.size, width):
            stop = min(start + width, origin.size)
            own = [expert[index].read(start, stop) for expert in block.experts]
            raw = origin.read(start, stop)
            base = raw.astype(np.float32, copy=False)
            inputs = _method_inputs(block, index, (start, stop), own, base, how) if made else {}
            for group, sink in sinks.items():
                if isinstance(sink, MaskedWriter):
                    sink.write(block.names[index], start, *_mask(group, inputs, how))
                elif group in made:
                    vector = _apply(group, inputs, how).reshape(-1)
                    sink.write(cast(vector + base, specs[group][index].dtype))
                elif group == NOBODY:
                    sink.write(raw.astype(numpy_dtype(specs[group][index].dtype), copy=False))
                else:
                    sink.write(own[group[0]])
            on_read(raw.nbytes + sum(values.nbytes for values in own))


def _sink(
    specs: Sequence[TensorSpec], group: Group, to: Stored, how: Merging, open_until: ExitStack
) -> TensorWriter | MaskedWriter:
    if to.kind == "masked":
        return open_until.enter_context(MaskedWriter(to.path, specs, len(group), how.method.rescaled))
    return open_until.enter_context(TensorWriter(to.path, specs))


def _method_inputs(
    block: BlockInput,
    index: int,
    stretch: tuple[int, int],
    own: Sequence[NDArray[Any]],
    base: NDArray[np.float32],
    how: Merging,
) -> dict[str, Any]:
    """Each input that the method declares, for every task."""
    shape = block.base[index].shape if how.method.unit == "tensor" else base.shape
    vectors = np.empty((len(own), base.size), np.float32)
    for task, row, values in zip(how.tasks, vectors, own, strict=True):
        np.subtract(values.astype(np.float32, copy=False), base, out=row)
        if how.dare is not None:
            sparsify(row, how.dare, task, block.names[index], stretch[0])
    inputs: dict[str, Any] = {"task_vectors": vectors.reshape(len(own), *shape), **how.measured}
    if "fisher" in how.method.inputs:
        rows = [values[index].read(*stretch).astype(np.float32, copy=False) for values in block.fisher]
        inputs["fisher"] = np.stack(rows).reshape(len(own), *shape)
    if how.method.prepare is not None:
        inputs["prepared"] = [how.method.prepare(vector) for vector in inputs["task_vectors"]]
    return inputs


def _mask(
    group: Group, inputs: Mapping[str, Any], how: Merging
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """The members' task vectors, and the vector and the masks that the method makes of them."""
    unified, masks = _apply(group, inputs, how)
    return _members(inputs["task_vectors"], group), unified, masks


def _apply(group: Group, inputs: Mapping[str, Any], how: Merging) -> Any:
    chosen = [_members(inputs[name], group) for name in how.method.inputs]
    return how.method.function(*chosen, **how.parameters)


def _members(values: Any, group: Group) -> Any:
    """Those of `values`, one a task, that are the group's; not copied where they lie evenly apart."""
    if not isinstance(values, np.ndarray):
        return [values[k] for k in group]
    apart = {right - left for left, right in pairwise(group)}
    return values[list(group)] if len(apart) > 1 else values[group[0] : group[-1] + 1 : min(apart, default=1)]
