"""Reading stored versions and heads into memory: mapped from their files, not copied, where they are float32."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from merge_builder.errors import InputError, MergeLadderError
from merge_builder.ladder import Ladder, Version, kind_of
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.masked import masked_specs
from serving.engine.answer import TaskHead
from serving.engine.families.family import Family
from serving.engine.heads.of_task import head_of
from serving.engine.linear import Int8Weight, Stored, quantise

_PAGE = 4096  # bytes
Held = Mapping[tuple[str, str], Stored]  # by (block, version id)


def load_versions(
    ladder: Ladder, wanted: Iterable[Version], have: Held, device: str, quantised: Collection[str] = ()
) -> Held:
    """The wanted versions; only those that `have` lacks are read.

    The tensors named `quantised` become 8-bit, except of masked versions, whose weights are made anew at every use.

    Raises:
        MergeLadderError: a file is missing, unreadable or does not hold what the manifest says.
    """
    specs = {block.name: block.tensors for block in ladder.manifest.blocks}
    return {
        (v.block, v.id): have.get((v.block, v.id))
        or _load_version(ladder.version_path(v), v, specs[v.block], device, quantised)
        for v in wanted
    }


def load_heads(ladder: Ladder, family: Family, device: str) -> Mapping[str, TaskHead]:
    """Every task's head, by task.

    Raises:
        InputError: a head is of a kind that is not served, or lacks a tensor.
        MergeLadderError: as in `load_versions`.
    """
    heads = {}
    for task in ladder.manifest.tasks:
        names = {spec.name for spec in task.head.tensors}
        head = head_of(task, family)
        if missing := sorted(set(head.needs) - names):
            raise InputError(
                f"the head of task {task.name} has no {missing[0]}, which a {kind_of(task)} of this family has"
            )
        heads[task.name] = TaskHead(head, _load(ladder.head_path(task.name), task.head.tensors, device))
    return heads


def count_bytes(stored: Iterable[Stored]) -> int:
    """Bytes of the tensors as they are held, which is twice the stored size for 16-bit weights."""
    return sum(tensor.nbytes for tensors in stored for tensor in tensors.values())


def is_mapped(tensor: Tensor | Int8Weight) -> bool:
    """Whether the tensor lies in a file's pages, which the system may take back and read again.

    safetensors gives such storage on the CPU; what torch allocates can be resized.
    """
    if isinstance(tensor, Int8Weight):
        return False
    return tensor.device.type == "cpu" and not tensor.untyped_storage().resizable()


def _load_version(
    path: Path, version: Version, specs: Sequence[TensorSpec], device: str, quantised: Collection[str]
) -> Stored:
    match version.kind:
        case "base":
            return _read(path, specs, device)
        case "masked":
            return _read(path, masked_specs(specs, len(version.tasks)), device)
    return {n: quantise(t) if n in quantised else t for n, t in _load(path, specs, device).items()}


def _load(path: Path, specs: Iterable[TensorSpec], device: str) -> dict[str, Tensor]:
    # 16-bit weights compute in float32: matrix products in bfloat16 are several times slower on most CPUs.
    return {
        name: tensor.to(torch.float32) if tensor.is_floating_point() else tensor
        for name, tensor in _read(path, specs, device).items()
    }


def _read(path: Path, specs: Iterable[TensorSpec], device: str) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path, device=device)
    except (OSError, SafetensorError) as error:
        raise MergeLadderError(f"{path} cannot be read: {error}; run `mergeladder verify`") from error
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != {spec.name: spec.shape for spec in specs}:
        raise MergeLadderError(f"{path} does not hold the tensors that the manifest says; run `mergeladder verify`")
    for tensor in filter(is_mapped, tensors.values()):
        _touch(tensor)
    return tensors


def _touch(tensor: Tensor) -> None:
    """Have all its pages in memory now, and not one after another in the middle of the first batches."""
    content = tensor.flatten().view(torch.uint8)
    content[::_PAGE].sum()
    content[-1:].sum()  # it rarely begins where a page does, so its end may lie in one more
