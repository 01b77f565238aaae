"""The manifest of a finished build."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from merge_builder.checkpoints.tensor_writer import payload_bytes
from merge_builder.inputs import Inputs
from merge_builder.ladder.manifest import Base, Block, Head, Manifest, Provenance, Step, Version
from merge_builder.ladder.rungs import rung_table
from merge_builder.ladder.store import group_id
from merge_builder.linkage import Group
from merge_builder.materialise import BlockInput
from merge_builder.recipe import Recipe
from merge_builder.storage import stored_bytes
from merge_builder.task_entry import task_entry
from merge_builder.trace import Merge
from merge_builder.write_blocks import Written


def assemble_manifest(
    recipe: Recipe,
    inputs: Inputs,
    blocks: Sequence[BlockInput],
    merges: Sequence[Merge],
    written: Sequence[Written],
    heads: Mapping[str, Head],
    base_files: dict[str, str],
    provenance: Provenance,
) -> Manifest:
    """Put together what the build wrote; `written[block][group]` tells of each version's file."""
    tasks, use = list(recipe.tasks), recipe.method_use
    everyone = tuple(range(len(tasks)))
    versions = tuple(
        Version(
            block=block.name,
            id=group_id((tasks[k] for k in group), use),
            kind=kind,
            tasks=tuple(tasks[k] for k in group),
            bytes=stored_bytes(block, group, kind),
            sha256=digest,
        )
        for block, versions_of_block in zip(blocks, written, strict=True)
        for group, (kind, digest) in versions_of_block.items()
    )
    trace = tuple(
        Step(
            step=number,
            block=blocks[merge.block].name,
            left=tuple(tasks[k] for k in merge.left),
            right=tuple(tasks[k] for k in merge.right),
            similarity=merge.similarity,
        )
        for number, merge in enumerate(merges, 1)
    )
    described = tuple(_block(block, everyone) for block in blocks)
    content: dict[str, Any] = {
        "base": Base(model_type=inputs.base.config["model_type"], files=base_files),
        "tasks": tuple(task_entry(expert, inputs.base, heads[expert.task]) for expert in inputs.experts),
        "granularity": recipe.blocks,
        "linkage": recipe.linkage,
        "method": use,
        "blocks": described,
        "trace": trace,
        "versions": versions,
        "rungs": rung_table(described, versions, trace, sum(head.bytes for head in heads.values())),
    }
    told = [content[key] for key in sorted(content)]
    # Told apart: without any, a ladder has the revision that it had before there were such.
    told += [(task.name, task.preprocessing) for task in content["tasks"] if task.preprocessing is not None]
    digest = hashlib.sha256(repr(told).encode()).hexdigest()
    return Manifest(revision=digest[:12], provenance=provenance, **content)


def _block(block: BlockInput, everyone: Group) -> Block:
    specs = block.specs(everyone, "expert" if len(everyone) == 1 else "merged")
    return Block(name=block.name, bytes=sum(map(payload_bytes, specs)), tensors=specs)
