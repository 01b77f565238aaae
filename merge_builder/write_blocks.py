"""Write every version of every block: the pass of a build over its inputs that follows the survey."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from merge_builder.checkpoints.files import sha256_of
from merge_builder.each_block import each_block
from merge_builder.ladder.manifest import Kind
from merge_builder.ladder.store import group_id, version_path
from merge_builder.linkage import Group
from merge_builder.materialise import BlockInput, Merging, Stored, write_versions
from merge_builder.methods import find_method
from merge_builder.open_files import at_once
from merge_builder.progress import Bytes, Progress
from merge_builder.recipe import Recipe
from merge_builder.storage import storage
from merge_builder.trace import Merge

# Of one block: what the version of each group is, and its file's sha256.
Written = Mapping[Group, tuple[Kind, str]]


def write_blocks(
    recipe: Recipe,
    out: Path,
    blocks: Sequence[BlockInput],
    merges: Sequence[Merge],
    how: Merging,
    workers: int,
    progress: Progress,
) -> list[Written]:
    """Write every version of every block that is not there yet; what each is and its sha256, by block and group."""
    tasks, use = list(recipe.tasks), recipe.method_use
    own_merges: dict[str, list[Merge]] = {block.name: [] for block in blocks}
    for merge in merges:
        own_merges[blocks[merge.block].name].append(merge)
    done = Bytes(progress, "writing blocks", sum(block.bytes_read for block in blocks))
    # A thread that waits for the disk to have its files lends its turn to compute to another.
    turns = threading.Semaphore(workers)

    def write(block: BlockInput) -> Written:
        kinds = storage(block, own_merges[block.name], how.method.masked)
        versions = {
            group: Stored(kind, version_path(out, block.name, group_id((tasks[k] for k in group), use)))
            for group, kind in kinds.items()
        }
        there = {group: version.path for group, version in versions.items() if version.path.exists()}
        missing = {group: version for group, version in versions.items() if group not in there}
        with turns:
            hashes = {group: sha256_of(path) for group, path in there.items()}
        if missing:
            hashes |= write_versions(block, missing, how, done.add, turns)
        else:
            done.add(block.bytes_read)
        return {group: (kind, hashes[group]) for group, kind in kinds.items()}

    # The largest first, so that no thread is left with it.
    at_work = at_once(2 * workers, 2 * len(tasks))
    return each_block(write, blocks, at_work, lambda block: -block.nbytes)


def merging_of(recipe: Recipe, measured: Mapping[str, Sequence[Any]]) -> Merging:
    """The recipe's method with all that it needs, and what was `measured` for it."""
    use = recipe.method_use
    parameters = {key: value for key, value in use.parameters.items() if key != "dare"}
    return Merging(find_method(use.name), parameters, tuple(recipe.tasks), recipe.dare, measured)
