"""A stack of layers as a ladder of one rung: every block has one version, which all tasks use."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from merge_builder.card.sections import front_matter, sources_section
from merge_builder.checkpoints import TensorWriter
from merge_builder.checkpoints.files import sha256_of, write_atomic
from merge_builder.checkpoints.new_folder import new_folder
from merge_builder.ladder.additions import Tuned
from merge_builder.ladder.manifest import Manifest, MethodUse, Task, Version
from merge_builder.ladder.rungs import rung_table
from merge_builder.ladder.store import CARD, Ladder, group_id, head_path, open_ladder, version_path, write_manifest
from merge_builder.tuning.depth.sources import Sources
from merge_builder.tuning.depth.stack import Stack


def write_stack(sources: Sources, stack: Stack, out: Path, tuned: Sequence[Tuned] = ()) -> Ladder:
    """Write the model of `stack`, with every task's own head, into the new folder `out`.

    It is the untuned ladder but for its blocks, the depth in every config.json, and that it has one rung. The folder
    appears whole or not at all.

    Raises:
        InputError: `out` exists already.
        MergeLadderError: writing failed.
    """
    source, depth = sources.material.ladder, len(stack.layers)
    use = MethodUse(name="tuned", parameters=stack.genes)
    with new_folder(out) as folder:
        blocks = {block.name: block for block in sources.blocks(depth)}
        versions = []
        for name, tensors in sources.weights(stack):
            block = blocks[name]
            own = group_id(sources.material.tasks, use)
            with TensorWriter(version_path(folder, name, own), block.tensors) as writer:
                for values in tensors.values():
                    writer.write(values)
                digest = writer.finish()
            tasks = sources.material.tasks
            versions.append(Version(block=name, id=own, kind="merged", tasks=tasks, bytes=block.bytes, sha256=digest))
        for task in source.manifest.tasks:
            write_atomic(head_path(folder, task.name), source.head_path(task.name).read_bytes())
        content: dict[str, Any] = {
            "base": source.manifest.base.model_copy(update={"files": _base_files(sources, depth, folder)}),
            "tasks": tuple(_of_depth(task, sources, depth) for task in source.manifest.tasks),
            "blocks": tuple(blocks.values()),
            "trace": (),
            "versions": tuple(versions),
            "rungs": rung_table(blocks.values(), versions, (), sum(t.head.bytes for t in source.manifest.tasks)),
            "tuned": tuple(tuned),
            "scores": (),
            "int8_scores": (),
        }
        revision = hashlib.sha256(f"{source.manifest.revision}{stack.genes}".encode()).hexdigest()[:12]
        manifest = source.manifest.model_copy(update=content | {"revision": revision})
        write_atomic(folder / CARD, _card(manifest, stack).encode())
        write_manifest(folder, manifest)
    return open_ladder(out)


def _base_files(sources: Sources, depth: int, folder: Path) -> dict[str, str]:
    source = sources.material.ladder
    for name in source.manifest.base.files:
        content = (source.base_dir / name).read_bytes()
        if name == "config.json":
            config = sources.family.config(json.loads(content), depth)
            content = (json.dumps(config, indent=2) + "\n").encode()
        write_atomic(folder / "base" / name, content)
    return {name: sha256_of(folder / "base" / name) for name in source.manifest.base.files}


def _of_depth(task: Task, sources: Sources, depth: int) -> Task:
    return task.model_copy(update={"config": sources.family.config(task.config, depth)})


def _card(manifest: Manifest, stack: Stack) -> str:
    tasks = [task.name for task in manifest.tasks]
    rows = "\n".join(
        f"| {number} | {own.source} | {own.layer} | {own.scale:g} |" for number, own in enumerate(stack.layers)
    )
    return "\n".join(
        (
            front_matter(manifest, "mergeladder", tasks),
            f"# {len(stack.layers)} layers for {len(tasks)} tasks\n",
            f"One `{manifest.base.model_type}` encoder that serves {', '.join(tasks)}, each by its own head: a ladder "
            "of one rung. Its layers were chosen with labelled rows from several experts "
            "([depth-wise integration](https://arxiv.org/abs/2502.04030)); `(merged)` is the 1x model of the ladder "
            f"that these experts make, `(base)` the pre-trained one. All that is no layer is from `{stack.rest}`.\n",
            f"```sh\nmergeladder serve .\nmergeladder export . --task {tasks[0]} --rung 1 {tasks[0]}-stacked\n```\n",
            f"| layer | from | its layer | scale behind it |\n|---|---|---|---|\n{rows}\n",
            sources_section(manifest, tasks),
        )
    )
