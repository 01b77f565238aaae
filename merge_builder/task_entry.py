"""A task's entry in the manifest: what its expert's folder tells of it."""

import json

from merge_builder.checkpoints import Checkpoint
from merge_builder.inputs import ExpertInput
from merge_builder.ladder.kinds import has_labels, is_headed
from merge_builder.ladder.manifest import Head, Task
from merge_builder.sentence_transformers import stated_length


def task_entry(expert: ExpertInput, base: Checkpoint, head: Head) -> Task:
    """The entry of `expert`'s task, whose head was stored as `head` tells."""
    return Task(
        name=expert.task,
        prefix=expert.parts.prefix,
        labels=_labels(expert),
        max_length=_max_length(expert.checkpoint, base),
        head=head,
        config=dict(expert.checkpoint.config),
        embedding=expert.embedding,
        preprocessing=None if expert.preprocessing is None else dict(expert.preprocessing),
    )


def _labels(expert: ExpertInput) -> tuple[str, ...]:
    """The labels in id order, as config.json tells them (`LABEL_0`… where it tells a number); none where the answers
    are no labels."""
    config = expert.checkpoint.config
    if not expert.parts.head or expert.embedding is not None or not has_labels(config):
        return ()
    table = config.get("id2label")
    if isinstance(table, dict) and table:
        return tuple(str(table[key]) for key in sorted(table, key=int))
    return tuple(f"LABEL_{i}" for i in range(int(config.get("num_labels", 2))))


def _max_length(checkpoint: Checkpoint, base: Checkpoint) -> int | None:
    """The most tokens an input may have: what the tokenizer's config states, or sentence-transformers', within the
    model's positions."""
    positions = checkpoint.config.get("max_position_embeddings")
    if (length := None if is_headed(checkpoint.config) else stated_length(checkpoint.path)) is not None:
        return min(length, positions) if isinstance(positions, int) else length
    for path in (checkpoint.path, base.path):
        try:
            stated = json.loads((path / "tokenizer_config.json").read_bytes()).get("model_max_length")
        except (OSError, ValueError, AttributeError):
            continue
        # transformers writes 1e30 for "no limit".
        if isinstance(stated, int) and 0 < stated < 1_000_000:
            return min(stated, positions) if isinstance(positions, int) else stated
    return positions if isinstance(positions, int) else None
