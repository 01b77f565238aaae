"""The passes of a build over its inputs, block by block on several threads: compare, measure, write.

A block is one thread's work from end to end, so results depend on neither the number of threads nor their timing.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints.files import sha256_of
from merge_builder.compute_trace import make_compute_trace
from merge_builder.errors import InputError
from merge_builder.ladder.manifest import Kind
from merge_builder.ladder.store import group_id, version_path
from merge_builder.lengths import matrix_lengths, task_length
from merge_builder.linkage import Group
from merge_builder.materialise import BlockInput, Merging, Stored, write_versions
from merge_builder.methods import find_method
from merge_builder.progress import Progress
from merge_builder.recipe import Recipe
from merge_builder.similarity import gram
from merge_builder.statistics import BINS, Magnitudes, magnitudes
from merge_builder.storage import storage
from merge_builder.trace import Merge, make_trace

T = TypeVar("T")
# Of one block: what the version of each group is, and its file's sha256.
Written = Mapping[Group, tuple[Kind, str]]


def trace_merges(
    recipe: Recipe,
    blocks: list[BlockInput],
    stages: list[int],
    allow_nonfinite: bool,
    workers: int,
    progress: Progress,
) -> list[Merge]:
    """Compare the experts in every block, and the merges that follow; `stages` as `Inputs.stages` gives them.

    Raises:
        InputError: a weight is NaN or infinite; names its tensor.
    """

    def similarity(block: BlockInput, on_read: Callable[[int], None]) -> NDArray[np.float64]:
        matrix = gram(block.base, block.experts, on_read, skip_nonfinite=allow_nonfinite)
        if not np.isfinite(matrix).all():
            raise InputError(_nonfinite(block, list(recipe.tasks)))
        return matrix

    grams = _each_block(similarity, blocks, workers, "comparing experts", progress)
    sizes = [_nbytes(block) for block in blocks]
    if recipe.objective == "compute":
        return make_compute_trace(grams, sizes, stages, recipe.linkage, recipe.priorities)
    return make_trace(grams, sizes, recipe.linkage, recipe.priorities)


def write_blocks(
    recipe: Recipe, out: Path, blocks: list[BlockInput], merges: list[Merge], workers: int, progress: Progress
) -> list[Written]:
    """Write every version of every block that is not there yet; what each is and its sha256, by block and group."""
    tasks, use = list(recipe.tasks), recipe.method_use
    how = merging_of(recipe, blocks, workers, progress)
    own_merges: dict[str, list[Merge]] = {block.name: [] for block in blocks}
    for merge in merges:
        own_merges[blocks[merge.block].name].append(merge)

    def write(block: BlockInput, on_read: Callable[[int], None]) -> Written:
        kinds = storage(block, own_merges[block.name], how.method.masked)
        versions = {
            group: Stored(kind, version_path(out, block.name, group_id((tasks[k] for k in group), use)))
            for group, kind in kinds.items()
        }
        done = {group: version.path for group, version in versions.items() if version.path.exists()}
        missing = {group: version for group, version in versions.items() if group not in done}
        hashes = write_versions(block, missing, how, on_read) if missing else {}
        if not missing:
            on_read(_bytes_read(block))
        hashes |= {group: sha256_of(path) for group, path in done.items()}
        return {group: (kind, hashes[group]) for group, kind in kinds.items()}

    return _each_block(write, blocks, workers, "writing blocks", progress)


def merging_of(recipe: Recipe, blocks: list[BlockInput], workers: int, progress: Progress) -> Merging:
    """The recipe's method with all that it needs; statistics cost a pass over the experts where it asks for them."""
    use = recipe.method_use
    method = find_method(use.name)
    parameters = {key: value for key, value in use.parameters.items() if key != "dare"}
    measured: dict[str, Sequence[Any]] = {}
    if "magnitudes" in method.inputs:
        measured["magnitudes"] = _magnitudes(len(recipe.tasks), blocks, workers, progress)
    if "lengths" in method.inputs:
        measured["lengths"] = _lengths(len(recipe.tasks), blocks, workers, progress)
    return Merging(method, parameters, tuple(recipe.tasks), recipe.dare, measured)


def _lengths(tasks: int, blocks: list[BlockInput], workers: int, progress: Progress) -> list[float]:
    def measure(block: BlockInput, on_read: Callable[[int], None]) -> list[list[float]]:
        found = [matrix_lengths(block.base, expert) for expert in block.experts]
        on_read(_bytes_read(block))
        return found

    by_block = _each_block(measure, blocks, workers, "measuring task vectors", progress)
    return [task_length([length for own in by_block for length in own[task]]) for task in range(tasks)]


def _magnitudes(tasks: int, blocks: list[BlockInput], workers: int, progress: Progress) -> tuple[Magnitudes, ...]:
    totals, lock = np.zeros((tasks, BINS), np.int64), threading.Lock()

    def count(block: BlockInput, on_read: Callable[[int], None]) -> None:
        for total, expert in zip(totals, block.experts, strict=True):
            counts = magnitudes(block.base, expert).counts
            with lock:
                total += counts
        on_read(_bytes_read(block))

    _each_block(count, blocks, workers, "measuring task vectors", progress)
    return tuple(Magnitudes(total) for total in totals)


def _each_block(
    work: Callable[[BlockInput, Callable[[int], None]], T],
    blocks: list[BlockInput],
    workers: int,
    stage: str,
    progress: Progress,
) -> list[T]:
    """`work` on every block, the largest first so that no thread is left with it; results in block order."""
    total, done, lock = sum(map(_bytes_read, blocks)), 0, threading.Lock()

    def on_read(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            progress(stage, done, total, "B")

    order = sorted(range(len(blocks)), key=lambda i: -_nbytes(blocks[i]))
    progress(stage, 0, total, "B")
    with ThreadPoolExecutor(workers) as pool:
        futures = {i: pool.submit(work, blocks[i], on_read) for i in order}
        try:
            return [futures[i].result() for i in range(len(blocks))]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _nbytes(block: BlockInput) -> int:
    return sum(tensor.nbytes for tensor in block.base)


def _bytes_read(block: BlockInput) -> int:
    return sum(tensor.nbytes for tensors in (block.base, *block.experts) for tensor in tensors)


def _nonfinite(block: BlockInput, tasks: list[str]) -> str:
    owners = ["the base", *(f"task {task!r}" for task in tasks)]
    for owner, tensors in zip(owners, (block.base, *block.experts), strict=True):
        for tensor in tensors:
            if not np.isfinite(tensor.read().astype(np.float32, copy=False)).all():
                where = f"the tensor {tensor.name!r} in {tensor.file.path}"
                return f"{owner}: {where} holds NaN or infinite values (--allow-nonfinite merges them)"
    return f"the task vectors of block {block.name!r} overflow fp64"
