"""How a build grows: the trace of 30 experts of ViT-B/32, a ladder of 100 small experts, a dry run at the size of 7B.

    python benchmarks/builder/many_experts.py --work DIR

Run it twice: memory counts what this process held when it made the checkpoints. The 30 experts take 11 GB of disk and,
to be read from memory as the figure says, of page cache. The 7B checkpoints are sparse files: a dry run reads their
headers only.
"""

import argparse
import json
import os
import resource
import time
from math import prod
from pathlib import Path
from typing import Any

from checkpoints import Shapes, llama, vit, write_suite
from measure import PROGRAM, measure, row
from threadpoolctl import threadpool_limits

from merge_builder.build import block_input, trace_merges
from merge_builder.checkpoints.tensor_writer import header_bytes
from merge_builder.inputs import open_inputs
from merge_builder.ladder.fields import TensorSpec
from merge_builder.methods import find_method
from merge_builder.progress import silent
from merge_builder.recipe import load_recipe
from merge_builder.survey import survey


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    recipe = write_suite(args.work / "thirty", *vit(), 30, method={"name": "average"})
    seconds, cpu = min(_trace(recipe) for _ in range(3))
    print(f"trace of 30 experts of ViT-B/32: {seconds:.1f} s, {cpu:.1f} CPU-s, {_peak():.0f} MB", flush=True)
    small = write_suite(args.work / "hundred", *llama(64, 2, 128, 1000), 100, method={"name": "average"})
    out = args.work / "hundred" / "ladder"
    print(row("build of 100 small experts", measure([PROGRAM, "build", small, out], 1, out)), flush=True)
    sparse = _sparse_suite(args.work / "seven", *llama(4096, 32, 11008, 32000), experts=8)
    print(row("dry run of 8 experts of 7B", measure([PROGRAM, "build", sparse, args.work / "none", "--dry-run"])))


def _trace(path: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one trace from open files, which are hashed on the way."""
    recipe = load_recipe(path)
    with open_inputs(recipe) as inputs, threadpool_limits(1):
        blocks = [block_input(inputs, name, {}) for name in inputs.base_parts.blocks]
        wall, cpu = time.monotonic(), time.process_time()
        found = survey(
            blocks,
            inputs.files,
            list(recipe.tasks),
            find_method("average"),
            allow_nonfinite=False,
            workers=len(os.sched_getaffinity(0)),
            progress=silent,
        )
        trace_merges(recipe, found.grams, [block.nbytes for block in blocks], inputs.stages())
        return time.monotonic() - wall, time.process_time() - cpu


def _peak() -> float:
    """The peak resident memory of this process in MB; making the checkpoints takes more than tracing them."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _sparse_suite(folder: Path, config: dict[str, Any], shapes: Shapes, experts: int) -> Path:
    specs = [TensorSpec(name=name, dtype="BF16", shape=shape) for name, shape in shapes.items()]
    header = header_bytes(specs)
    payload = sum(2 * prod(shape) for shape in shapes.values())
    recipe = {"base": "base", "tasks": {}, "method": {"name": "average"}}
    for name in ["base", *(f"expert{k}" for k in range(experts))]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "config.json").write_text(json.dumps(config))
        with (folder / name / "model.safetensors").open("wb") as file:
            file.write(header)
            file.truncate(len(header) + payload)
        if name != "base":
            recipe["tasks"][name] = {"model": name}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return folder / "recipe.yaml"


if __name__ == "__main__":
    main()
