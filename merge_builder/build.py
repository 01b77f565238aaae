"""Build a ladder: trace the merges, write every version of every block once, publish the manifest.

ladder = build(load_recipe(Path("recipe.yaml")), Path("ladder"))
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

from threadpoolctl import threadpool_limits

from merge_builder.assemble import assemble_manifest
from merge_builder.card import ladder_card
from merge_builder.checkpoints import StoredTensor
from merge_builder.checkpoints.files import write_atomic
from merge_builder.errors import MergeLadderError
from merge_builder.fisher_files import open_fisher
from merge_builder.inputs import Inputs, open_inputs
from merge_builder.ladder.manifest import Provenance, Source
from merge_builder.ladder.store import CARD, Ladder
from merge_builder.materialise import BlockInput
from merge_builder.passes import trace_merges, write_blocks
from merge_builder.progress import Progress, silent
from merge_builder.recipe import Recipe
from merge_builder.side_files import copy_base_files, write_heads
from merge_builder.workspace import claim, fingerprint, publish

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
    workers = threads or len(os.sched_getaffinity(0))
    with open_inputs(recipe) as inputs, open_fisher(recipe, inputs) as fisher, threadpool_limits(1):
        sources = _hash_inputs(inputs, recipe, workers, progress)
        provenance = Provenance(
            recipe=recipe.model_dump(mode="json"),
            base=sources["base"],
            experts={task: sources[f"expert {task}"] for task in recipe.tasks},
            libraries={name: version(name) for name in LIBRARIES},
        )
        if (done := claim(out, fingerprint(provenance.model_dump(mode="json")))) is not None:
            return done
        blocks = [block_input(inputs, name, fisher) for name in inputs.base_parts.blocks]
        merges = trace_merges(recipe, blocks, inputs.stages(), allow_nonfinite, workers, progress)
        try:
            written = write_blocks(recipe, out, blocks, merges, workers, progress)
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


def _hash_inputs(inputs: Inputs, recipe: Recipe, workers: int, progress: Progress) -> dict[str, Source]:
    named = {"base": (recipe.base, inputs.base)}
    named |= {f"expert {e.task}": (recipe.tasks[e.task].model, e.checkpoint) for e in inputs.experts}
    progress("hashing inputs", 0, len(named), "models")
    with ThreadPoolExecutor(workers) as pool:
        hashing = [pool.submit(checkpoint.hashes) for _, checkpoint in named.values()]
        try:
            for done, _ in enumerate(as_completed(hashing), 1):
                progress("hashing inputs", done, len(named), "models")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return {
        role: Source(model=model, files=hashes.result())
        for (role, (model, _)), hashes in zip(named.items(), hashing, strict=True)
    }
