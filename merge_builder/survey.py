"""The one pass over the inputs before anything is written: hashes, how alike the experts are, what the method asks of
whole task vectors.

Block by block, in the order in which they lie in the base's files: every file is hashed up to the end of a block, and
what the block is read for then comes from the page cache.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints import StoredTensor
from merge_builder.checkpoints.running_hash import RunningHash
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.each_block import each_block
from merge_builder.errors import InputError
from merge_builder.materialise import BlockInput
from merge_builder.measures import Measures
from merge_builder.methods import Method
from merge_builder.progress import Bytes, Progress
from merge_builder.similarity import gram


@dataclass(frozen=True)
class Survey:
    """What was found: the Gram matrix of every block, what the method measures, each file's sha256."""

    grams: Sequence[NDArray[np.float64]]
    measured: Mapping[str, Sequence[Any]]
    sha256: Mapping[TensorFile, str]


def survey(
    blocks: Sequence[BlockInput],
    files: Sequence[TensorFile],
    tasks: Sequence[str],
    method: Method,
    *,
    allow_nonfinite: bool,
    workers: int,
    progress: Progress,
) -> Survey:
    """Look at every block of the experts of `tasks`, and hash `files`, among them all that the blocks lie in.

    Raises:
        InputError: a weight is NaN or infinite, and not `allow_nonfinite`; names its tensor. A file was cut short.
    """
    hashes = {file: RunningHash(file) for file in files}
    measures = Measures(method, len(tasks))
    total = sum(file.nbytes for file in files) + sum(block.bytes_read for block in blocks)
    done = Bytes(progress, "comparing experts", total)

    def look(block: BlockInput) -> NDArray[np.float64]:
        left = _ends(block)
        while left:  # first those that no other thread is hashing
            file = next((file for file in left if not hashes[file].busy), next(iter(left)))
            done.add(hashes[file].advance(left.pop(file)))
        matrix = gram(block.base, block.experts, done.add, skip_nonfinite=allow_nonfinite)
        if not np.isfinite(matrix).all():
            raise InputError(_nonfinite(block, tasks))
        measures.add(block)
        return matrix

    def finish(running: RunningHash) -> str:
        done.add(running.advance(running.file.nbytes))
        return running.finish()

    place = dict(zip(files, accumulate((file.nbytes for file in files), initial=0), strict=False))
    grams = each_block(look, blocks, workers, lambda block: max(place[f] + end for f, end in _ends_of(block.base)))
    with ThreadPoolExecutor(workers) as pool:
        return Survey(grams, measures.result(), dict(zip(files, pool.map(finish, hashes.values()), strict=True)))


def _ends(block: BlockInput) -> dict[TensorFile, int]:
    """For each file how far it is to be read for the block."""
    ends: dict[TensorFile, int] = {}
    for tensors in (block.base, *block.experts):
        for file, end in _ends_of(tensors):
            ends[file] = max(end, ends.get(file, 0))
    return ends


def _ends_of(tensors: Sequence[StoredTensor]) -> Iterator[tuple[TensorFile, int]]:
    for tensor in tensors:
        stored = tensor.file.tensors.get(tensor.name)  # there is none of that name where an adapter's changes are read
        yield tensor.file, stored.begin + stored.nbytes if stored is not None else 0


def _nonfinite(block: BlockInput, tasks: Sequence[str]) -> str:
    owners = ["the base", *(f"task {task!r}" for task in tasks)]
    for owner, tensors in zip(owners, (block.base, *block.experts), strict=True):
        for tensor in tensors:
            if not np.isfinite(tensor.read().astype(np.float32, copy=False)).all():
                where = f"the tensor {tensor.name!r} in {tensor.file.path}"
                return f"{owner}: {where} holds NaN or infinite values (--allow-nonfinite merges them)"
    return f"the task vectors of block {block.name!r} overflow"
