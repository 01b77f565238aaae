"""What a build would do, before it touches anything: `mergeladder build --dry-run`."""

import math
import os

from pydantic import BaseModel

from merge_builder.build import block_input
from merge_builder.inputs import open_inputs
from merge_builder.methods import find_method
from merge_builder.recipe import Recipe
from merge_builder.similarity import BUFFER_BYTES
from merge_builder.storage import most_made_bytes, stored_bytes


class BuildPlan(BaseModel):
    """Sizes in bytes.

    `bytes_read` is what comes from the disk; what is read again at once comes from the page cache. `peak_memory` is
    what the build allocates, beside the interpreter and its libraries. `bytes_written` is exact, but for a masked
    method the most it can be: which groups form is for the trace to tell.
    """

    tasks: list[str]
    blocks: int
    rungs: int
    bytes_read: int
    bytes_written: int
    peak_memory: int


def plan(recipe: Recipe, threads: int | None = None) -> BuildPlan:
    """Check every input's header and tell what building would read, write and need.

    Raises:
        InputError: as `build`, as far as headers tell.
    """
    workers = threads or len(os.sched_getaffinity(0))
    method = find_method(recipe.method_use.name)
    with open_inputs(recipe) as inputs:
        blocks = [block_input(inputs, name, {}) for name in inputs.base_parts.blocks]
        tasks = list(recipe.tasks)
        everyone = tuple(range(len(tasks)))
        own = sum(stored_bytes(block, (k,), "expert") for block in blocks for k in everyone)
        made = sum(most_made_bytes(block, method.masked) for block in blocks)
        heads = sum(tensor.nbytes for expert in inputs.experts for tensor in expert.parts.head.values())
        read = own + sum(tensor.nbytes for block in blocks for tensor in block.base)
        whole = max((_whole_tensor_bytes(t.shape, len(tasks)) for block in blocks for t in block.base), default=0)
        chunk = 2 * BUFFER_BYTES if method.unit == "element" else whole
        return BuildPlan(
            tasks=tasks,
            blocks=len(blocks),
            rungs=len(blocks) * (len(tasks) - 1) + 1,
            bytes_read=2 * read + heads,  # the survey, and what is written
            bytes_written=own + made + heads,
            peak_memory=workers * max(chunk, 2 * BUFFER_BYTES),
        )


def _whole_tensor_bytes(shape: tuple[int, ...], tasks: int) -> int:
    """What a method that takes whole tensors needs at most, measured (`blend`, four and eight tasks).

    In fp32 each task's tensor, its task vector and half of its singular triplets; fp64 copies of one matrix and its
    factors; and two fp64 Gram matrices of its inputs.
    """
    inputs = shape[1] if len(shape) == 2 else 0
    return math.prod(shape) * 4 * (3 * tasks + 20) + 16 * inputs**2
