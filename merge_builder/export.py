"""One rung and task as a plain transformers checkpoint folder that `from_pretrained` loads."""

import json
import shlex
from pathlib import Path

from merge_builder.blocks.partition import layout_of
from merge_builder.card import export_card
from merge_builder.checkpoints.files import write_atomic
from merge_builder.checkpoints.new_folder import new_folder
from merge_builder.checkpoints.sharded_writer import SHARD_BYTES, write_weights
from merge_builder.errors import InputError
from merge_builder.image_processors import FILES, write_processor
from merge_builder.ladder.manifest import RungSize, Task
from merge_builder.ladder.rungs import rung_at
from merge_builder.ladder.store import CARD, Ladder
from merge_builder.names import nearest
from merge_builder.sentence_transformers import write_embedding
from merge_builder.task_weights import open_task


def export(ladder: Ladder, task: str, rung: RungSize, out: Path, *, shard_bytes: int = SHARD_BYTES) -> None:
    """Write the model that `rung` serves `task` with into the new folder `out`, in shards of at most `shard_bytes`.

    Rung 0 gives the expert back, bit for bit. The folder appears whole or not at all.

    Raises:
        InputError: an unknown task, or `out` exists already.
        MergeLadderError: a stored file is missing or damaged, or writing failed.
    """
    entry = find_task(ladder, task)
    layout = layout_of(entry.config, ladder.root)
    with new_folder(out) as folder:
        with open_task(ladder, rung_at(ladder.manifest, rung.index), task) as stored:
            tensors = {layout.original(name, entry.prefix): tensor for name, tensor in stored.items()}
            write_weights(folder, tensors, shard_bytes)
        arguments = ("mergeladder", "export", ladder.name, "--task", task, "--rung", f"#{rung.index}", out.name)
        command = shlex.join(arguments)
        write_atomic(folder / CARD, export_card(ladder.manifest, task, rung, command).encode())
        write_atomic(folder / "config.json", (json.dumps(entry.config, indent=2) + "\n").encode())
        own = {"config.json", *(FILES if entry.preprocessing is not None else ())}
        for name in ladder.manifest.base.files:
            if name not in own:
                write_atomic(folder / name, (ladder.base_dir / name).read_bytes())
        if entry.preprocessing is not None:
            write_processor(folder, entry.preprocessing)
        if entry.embedding is not None:
            write_embedding(folder, entry.embedding, entry.max_length, entry.config)


def find_task(ladder: Ladder, name: str) -> Task:
    """The manifest's entry of task `name`.

    Raises:
        InputError: this ladder has no such task; names the nearest.
    """
    tasks = {task.name: task for task in ladder.manifest.tasks}
    if name not in tasks:
        raise InputError(f"this ladder has no task {name!r}{nearest(name, tasks)} (tasks: {', '.join(tasks)})")
    return tasks[name]
