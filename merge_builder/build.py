"""Build a ladder: trace the merges, write every version of every block once, publish the manifest.

ladder = build(load_recipe(Path("recipe.yaml")), Path("ladder"))
"""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from merge_builder.assemble import assemble_manifest
from merge_builder.card import ladder_card
from merge_builder.checkpoints import StoredTensor
from merge_builder.checkpoints.files import write_atomic
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.compute_trace import make_compute_trace
from merge_builder.errors import MergeLadderError
from merge_builder.fisher_files import open_fisher
from merge_builder.inputs import Inputs, open_inputs
from merge_builder.ladder.manifest import Provenance, Source
from merge_builder.ladder.store import CARD, MANIFEST, Ladder
from merge_builder.materialise import BlockInput
from merge_builder.methods import find_method
from merge_builder.open_files import at_once
from merge_builder.progress import Progress, silent
from merge_builder.recipe import Recipe
from merge_builder.side_files import copy_base_files, write_heads
from merge_builder.survey import survey
from merge_builder.trace import Merge, make_trace
from merge_builder.workspace import check_free, claim, fingerprint, publish
from merge_builder.write_blocks import merging_of, write_blocks

LIBRARIES = ("mergeladder", "numpy", "safetensors")


def build(
    recipe: Recipe,
    out: Path,
    *,
    threads: int | None = None,
    allow_nonfinite: bool = False,
    progress: Progress = silent,
) -> Ladder:
    """Build the ladder of `recipe` in the folder `out`; a killed build of the same inputs goes on where it was.

    The result's bytes depend on the inputs alone, not on `threads` (default: one for each processor). NaN and
    infinite weights are refused unless `allow_nonfinite`; then they are merged as they are, and the trace ignores them.

    Raises:
        InputError: the recipe, a checkpoint or the folder is unfit; names it. Nothing is half-written.
        MergeLadderError: writing failed, for example on a full disk.
    """
    check_free(out, recipe.model_dump(mode="json"))
    workers = threads or len(os.sched_getaffinity(0))
    tasks, method = list(recipe.tasks), find_method(recipe.method_use.name)
    with open_inputs(recipe) as inputs, open_fisher(recipe, inputs) as fisher, threadpool_limits(1):
        blocks = [block_input(inputs, name, fisher) for name in inputs.base_parts.blocks]
        at_once(1, 2 * len(tasks))  # what `write_blocks` would find too few is told before the inputs are read
        measured_from = {task: next(iter(values.values())).file for task, values in fisher.items()}
        files = [*inputs.files, *measured_from.values()]
        to_compare = [] if (out / MANIFEST).exists() else blocks  # of a finished ladder only the hashes are wanted
        found = survey(
            to_compare, files, tasks, method, allow_nonfinite=allow_nonfinite, workers=workers, progress=progress
        )
        provenance = _provenance(recipe, inputs, measured_from, found.sha256)
        if (done := claim(out, fingerprint(provenance.model_dump(mode="json")))) is not None:
            return done
        merges = trace_merges(recipe, found.grams, [block.nbytes for block in blocks], inputs.stages())
        try:
            how = merging_of(recipe, found.measured)
            written = write_blocks(recipe, out, blocks, merges, how, workers, progress)
            heads = write_heads(out, inputs)
            base_files = copy_base_files(out, inputs)
            manifest = assemble_manifest(recipe, inputs, blocks, merges, written, heads, base_files, provenance)
            write_atomic(out / CARD, ladder_card(manifest).encode())
            return publish(out, manifest)
        except OSError as error:
            raise MergeLadderError(f"writing {out} failed: {error.strerror}; run the build again to go on") from error


def block_input(inputs: Inputs, name: str, fisher: Mapping[str, Mapping[str, StoredTensor]]) -> BlockInput:
    """One block of all inputs; `fisher[task][tensor]` as `open_fisher` gives it."""
    base, experts = inputs.tensors(name)
    names = tuple(inputs.base_parts.blocks[name])
    measured = [[values[n] for n in names] for values in fisher.values()]
    return BlockInput(name, names, base, experts, measured, inputs.dtype)


def trace_merges(
    recipe: Recipe, grams: Sequence[NDArray[np.float64]], sizes: Sequence[int], stages: Sequence[int]
) -> list[Merge]:
    """The merges that the recipe wants, from each block's Gram matrix, bytes and number of its stage."""
    if recipe.objective == "compute":
        return make_compute_trace(grams, sizes, stages, recipe.linkage, recipe.priorities)
    return make_trace(grams, sizes, recipe.linkage, recipe.priorities)


def _provenance(
    recipe: Recipe, inputs: Inputs, fisher: Mapping[str, TensorFile], sha256: Mapping[TensorFile, str]
) -> Provenance:
    experts = {expert.task: expert.checkpoint.hashes(sha256) for expert in inputs.experts}
    for task, file in fisher.items():
        experts[task][f"Fisher values: {file.path.name}"] = sha256[file]
    return Provenance(
        recipe=recipe.model_dump(mode="json"),
        base=Source(model=recipe.base, files=inputs.base.hashes(sha256)),
        experts={task: Source(model=recipe.tasks[task].model, files=files) for task, files in experts.items()},
        libraries={name: version(name) for name in LIBRARIES},
    )
