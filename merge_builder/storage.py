"""Which versions of a block are stored, and as what.

Every expert's weights are, and, for a method without masks, every group's. For a masked method:

- a group whose members hold the same bytes (frozen embeddings, for example) is stored once, as an expert's weights;
- a group of three or more is stored masked, where that makes the rungs with it smaller; the first such group also makes
  the base's tensors needed;
- any other group, so every group of two experts, has no version: its members keep what they used before. Base, unified
  vector and two masks are more than two experts (FlexMerge, arXiv 2505.23209, counts so too).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from merge_builder.checkpoints.tensor_writer import payload_bytes
from merge_builder.ladder.manifest import Kind
from merge_builder.linkage import Group
from merge_builder.materialise import NOBODY, BlockInput
from merge_builder.similarity import chunk_size
from merge_builder.trace import Merge


@dataclass(frozen=True)
class _Use:
    """What the members of a group use: `bytes` of versions, and whether the base is needed beside them."""

    bytes: int
    base: bool
    same: bool


def storage(block: BlockInput, merges: Sequence[Merge], masked: bool) -> dict[Group, Kind]:
    """The groups of which a version is stored, each task alone first; `merges` are the block's own, in order."""
    alone: dict[Group, Kind] = {(task,): "expert" for task in range(len(block.experts))}
    merged = [tuple(sorted(merge.left + merge.right)) for merge in merges]
    if not masked:
        return alone | dict.fromkeys(merged, "merged")
    stored = _masked_storage(block, merges)
    base: dict[Group, Kind] = {NOBODY: "base"} if "masked" in stored.values() else {}
    return base | alone | stored


def stored_bytes(block: BlockInput, group: Group, kind: Kind) -> int:
    """The payload of one version."""
    return sum(map(payload_bytes, block.specs(group, kind)))


def most_made_bytes(block: BlockInput, masked: bool) -> int:
    """The payload of all versions that are no expert's: exact without masks, else the most that any trace can make."""
    tasks = len(block.experts)
    everyone = tuple(range(tasks))
    if not masked:
        return stored_bytes(block, everyone, "merged") * (tasks - 1)
    base = stored_bytes(block, NOBODY, "base") if tasks > 2 else 0
    # One task joining after the other makes the most groups of three or more, and the largest.
    return base + sum(stored_bytes(block, everyone[:size], "masked") for size in range(3, tasks + 1))


def _masked_storage(block: BlockInput, merges: Sequence[Merge]) -> dict[Group, Kind]:
    base = stored_bytes(block, NOBODY, "base")
    uses: dict[Group, _Use] = {
        (k,): _Use(stored_bytes(block, (k,), "expert"), base=False, same=True) for k in range(len(block.experts))
    }
    stored: dict[Group, Kind] = {}
    for merge in merges:
        left, right = uses.pop(merge.left), uses.pop(merge.right)
        group = tuple(sorted(merge.left + merge.right))
        if left.same and right.same and _same_bytes(block, merge.left[0], merge.right[0]):
            stored[group], uses[group] = "expert", left
            continue
        kept = _Use(left.bytes + right.bytes, left.base or right.base, same=False)
        masks = _Use(stored_bytes(block, group, "masked"), base=True, same=False)
        needed_anyway = any(other.base for other in uses.values())
        saved = kept.bytes - masks.bytes - (base if not (needed_anyway or kept.base) else 0)
        if len(group) > 2 and saved > 0:
            stored[group] = "masked"
        uses[group] = masks if group in stored else kept
    return stored


def _same_bytes(block: BlockInput, left: int, right: int) -> bool:
    """Whether two experts' tensors are the same, bit for bit; reads no further than to the first difference."""
    width = chunk_size(2)
    for one, other in zip(block.experts[left], block.experts[right], strict=True):
        if one.dtype != other.dtype:
            return False
        for start in range(0, one.size, width):
            stop = min(start + width, one.size)
            if one.read(start, stop).tobytes() != other.read(start, stop).tobytes():
                return False
    return True
