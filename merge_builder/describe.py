"""A ladder as one plain document, what `mergeladder inspect --json` prints; and its blocks, with layers that are alike
as one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from merge_builder.ladder.manifest import Block, RungSize
from merge_builder.ladder.store import Ladder


@dataclass(frozen=True)
class Part:
    """Blocks of one model: `copies` layers that are alike, or one block.

    `tensors` and `bytes` are those of one copy. `blocks` are the blocks of one layer, by their name within it.
    """

    name: str
    copies: int
    tensors: int
    bytes: int
    blocks: tuple["Part", ...] = ()


def fold(blocks: Sequence[Block]) -> list[Part]:
    """The blocks in the order of the forward pass; neighbouring layers with the same blocks are one part."""
    parts: list[Part] = []
    for (stem, number), members in groupby(blocks, key=lambda block: _place(block.name)[:2]):
        if number is None:
            parts += [Part(block.name, 1, len(block.tensors), block.bytes) for block in members]
            continue
        inner = tuple(Part(_place(b.name)[2], 1, len(b.tensors), b.bytes) for b in members)
        layer = Part(f"{stem}.{number}", 1, sum(p.tensors for p in inner), sum(p.bytes for p in inner), inner)
        parts.append(layer)
    return list(_alike(parts))


def _alike(parts: Sequence[Part]) -> Iterator[Part]:
    for _, run in groupby(parts, key=lambda part: part.blocks or part.name):
        first, *others = run
        name = f"{first.name} to {others[-1].name.rpartition('.')[2]}" if others else first.name
        named = first.blocks if [part.name for part in first.blocks] != [""] else ()
        yield Part(name, 1 + len(others), first.tensors, first.bytes, named)


def _place(name: str) -> tuple[str, int | None, str]:
    """The stem, number and rest of a block's name within a layer; the name alone elsewhere."""
    found = re.fullmatch(r"(.+?)\.(\d+)(?:\.(.+))?", name)
    return (found[1], int(found[2]), found[3] or "") if found else (name, None, "")


def describe(ladder: Ladder, chosen: RungSize | None = None) -> dict[str, Any]:
    """Tasks, blocks, trace, rungs and the chosen rung, in the shape that the design fixes."""
    manifest = ladder.manifest
    router = manifest.router
    return {
        "tasks": [task.name for task in manifest.tasks],
        "blocks": [
            {"name": block.name, "bytes": block.bytes, "tensors": [tensor.name for tensor in block.tensors]}
            for block in manifest.blocks
        ],
        "trace": [step.model_dump(mode="json") for step in manifest.trace],
        "rungs": [rung.model_dump() for rung in manifest.rungs],
        "chosen": None if chosen is None else chosen.model_dump(),
    } | ({} if router is None else {"router": router.model_dump(mode="json", exclude={"tensors"})})
