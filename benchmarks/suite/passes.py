"""Work of one text or image that is asked for every task of a ladder, in forward passes of one model, by size.

    python benchmarks/suite/passes.py LADDER

It is a matter of the trace and not of the merge method: `method: {name: average}` with the `linkage` and `objective`
that are asked about makes a ladder for it quickly.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from merge_builder.ladder import Ladder, RungSize, open_ladder, rung_at, select
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded, Input
from serving.images.encode import ImageEncoder, grey
from serving.images.processors import load_processors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ladder", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["1", "1.25", "1.5", "2", "3", "4"])
    args = parser.parse_args()
    ladder = open_ladder(args.ladder)
    rungs = [select(ladder.manifest, size) for size in args.sizes]
    passes = passes_of(ladder, rungs)
    for rung in rungs:
        print(f"{rung.ratio:.2f}x  {passes[rung.index]:.2f}")


def passes_of(ladder: Ladder, rungs: Sequence[RungSize]) -> dict[int, float]:
    """By rung: the tokens that went through a layer for all tasks, over those for one."""
    engine = load_engine(ladder, rung_at(ladder.manifest, rungs[0].index))
    asked = _asked(engine, ladder)
    one = engine.run([replace(asked[0], tasks=asked[0].tasks[:1])]).layer_tokens
    passes = {}
    for rung in rungs:
        engine.swap(rung_at(ladder.manifest, rung.index))
        passes[rung.index] = engine.run(asked).layer_tokens / one
    return passes


def _asked(engine: Engine, ladder: Ladder) -> Sequence[Input]:
    """One text or image for every task, as the server prepares it."""
    tasks = tuple(task.name for task in ladder.manifest.tasks)
    if engine.modality == "image":
        encoder = ImageEncoder(load_processors(ladder, ladder.manifest.tasks), engine.image_tokens)
        return encoder.images(grey(), tasks)
    text = engine.tokenizer.encode(["how many passes does this take?"], None, max_length=32, truncate=True)[0]
    return [Encoded(text.input_ids, text.token_type_ids, tasks)]


if __name__ == "__main__":
    main()
