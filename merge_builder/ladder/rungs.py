"""Rungs: the partition of the tasks in every block after the first t merges, and its exact size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from merge_builder.errors import InputError
from merge_builder.ladder.manifest import Block, Manifest, RungSize, Step, Version

# Of one block: the version that each task uses there.
Pointers = Mapping[str, Version]
Group = frozenset[str]


@dataclass(frozen=True)
class Rung:
    """One rung as pointers: `versions[block][task]` is the stored version that the task uses there.

    `bases[block]` is the base's own version, for the blocks in which a task uses a masked one.
    """

    size: RungSize
    versions: Mapping[str, Pointers]
    bases: Mapping[str, Version]

    @property
    def name(self) -> str:
        """The form that `--rung` takes, such as `#37`."""
        return f"#{self.size.index}"

    def stored(self) -> tuple[Version, ...]:
        """Every version this rung needs, once, in block order."""
        return tuple(
            version for block, tasks in self.versions.items() for version in _needed(tasks, self.bases.get(block))
        )


def rung_at(manifest: Manifest, index: int) -> Rung:
    """The rung after the first `index` merges. A group that has no version stored keeps what its members used.

    Raises:
        InputError: the ladder has no such rung.
    """
    if not 0 <= index < len(manifest.rungs):
        raise InputError(f"rung #{index} does not exist: this ladder has #0 to #{len(manifest.rungs) - 1}")
    by_group = _by_group(manifest.versions)
    first = _first(manifest.versions, manifest.trace)
    pointers = {b.name: {task.name: first[b.name][task.name] for task in manifest.tasks} for b in manifest.blocks}
    for step in manifest.trace[:index]:
        _merge(pointers[step.block], step, by_group)
    bases = {block: by_group[block, frozenset()] for block, own in pointers.items() if _masked(own)}
    frozen = {block: MappingProxyType(own) for block, own in pointers.items()}
    return Rung(manifest.rungs[index], MappingProxyType(frozen), MappingProxyType(bases))


def rung_table(
    blocks: Iterable[Block], versions: Iterable[Version], trace: Iterable[Step], bytes_beside: int
) -> tuple[RungSize, ...]:
    """The size of every rung in one walk down the trace; `bytes_beside` are those of the heads and of a router.

    `ratio` is the size of the rung's versions over that of one model that all tasks share, so for a method without
    masks it runs from M to exactly 1 where all experts have one dtype. With masks it ends at 2 + M/w where every block
    is masked, for w bits a weight: the base, the unified vector and M masks.
    """
    versions, trace = tuple(versions), tuple(trace)
    by_group = _by_group(versions)
    pointers = _first(versions, trace)
    size = {block: _bytes(own, None) for block, own in pointers.items()}
    total, one_model = sum(size.values()), sum(block.bytes for block in blocks)
    totals = [total]
    for step in trace:
        own = pointers[step.block]
        _merge(own, step, by_group)
        before, size[step.block] = size[step.block], _bytes(own, by_group.get((step.block, frozenset())))
        total += size[step.block] - before
        totals.append(total)
    return tuple(RungSize(index=i, ratio=n / one_model, bytes=n + bytes_beside) for i, n in enumerate(totals))


def _first(versions: Iterable[Version], trace: Sequence[Step]) -> dict[str, dict[str, Version]]:
    """What each task uses in every block at first: its own version; in a ladder of one rung, the one there is."""
    pointers: dict[str, dict[str, Version]] = {}
    for version in versions:
        if len(version.tasks) == 1 or not trace:
            pointers.setdefault(version.block, {}).update(dict.fromkeys(version.tasks, version))
    return pointers


def _by_group(versions: Iterable[Version]) -> dict[tuple[str, Group], Version]:
    return {(version.block, frozenset(version.tasks)): version for version in versions}


def _merge(pointers: dict[str, Version], step: Step, by_group: Mapping[tuple[str, Group], Version]) -> None:
    merged = frozenset(step.left + step.right)
    if (version := by_group.get((step.block, merged))) is not None:
        pointers.update(dict.fromkeys(merged, version))


def _masked(pointers: Pointers) -> bool:
    return any(version.kind == "masked" for version in pointers.values())


def _needed(pointers: Pointers, base: Version | None) -> tuple[Version, ...]:
    """The versions that one block's pointers need, once each."""
    own = {version.id: version for version in pointers.values()}
    return (base, *own.values()) if base is not None and _masked(pointers) else tuple(own.values())


def _bytes(pointers: Pointers, base: Version | None) -> int:
    return sum(version.bytes for version in _needed(pointers, base))
