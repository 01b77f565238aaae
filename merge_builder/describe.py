"""A ladder as one plain document: what `mergeladder inspect --json` prints."""

from typing import Any

from merge_builder.ladder.manifest import RungSize
from merge_builder.ladder.store import Ladder


def describe(ladder: Ladder, chosen: RungSize | None = None) -> dict[str, Any]:
    """Tasks, blocks, trace, rungs and the chosen rung, in the shape that the design fixes."""
    manifest = ladder.manifest
    return {
        "tasks": [task.name for task in manifest.tasks],
        "blocks": [
            {"name": block.name, "bytes": block.bytes, "tensors": [tensor.name for tensor in block.tensors]}
            for block in manifest.blocks
        ],
        "trace": [step.model_dump(mode="json") for step in manifest.trace],
        "rungs": [rung.model_dump() for rung in manifest.rungs],
        "chosen": None if chosen is None else chosen.model_dump(),
    }
