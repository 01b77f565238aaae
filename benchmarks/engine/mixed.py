"""(b) Eight tasks mixed, at rungs of several sizes, against the same texts as one task of the shared model.

    python benchmarks/engine/mixed.py --experts EXPERTS --data DATA --work DIR

Batches of 64 texts in the order they arrive, each text asked for its own task.
"""

from dataclasses import replace
from statistics import median

import torch
from interleaved import interleaved, ratio
from suite import arguments, arrivals, batches, ladder_of

from merge_builder.ladder import rung_at, select
from serving.engine.engine import load_engine

BATCH = 64
SIZES = ("1", "1.5", "2", "3", "4")


def main() -> None:
    args = arguments(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    ladder = ladder_of(args)
    manifest = ladder.manifest
    rungs = [rung_at(manifest, select(manifest, size).index) for size in SIZES] + [rung_at(manifest, 0)]
    engines = {f"mixed at {rung.size.ratio:.2f}x": load_engine(ladder, rung) for rung in rungs}
    texts = arrivals(args, next(iter(engines.values())).tokenizer)
    task = manifest.tasks[0].name
    shared = load_engine(ladder, rungs[0])
    contenders = {name: engine.run for name, engine in engines.items()}
    contenders["one task at 1x"] = lambda batch: shared.run([replace(item, tasks=(task,)) for item in batch])
    seconds = interleaved(contenders, batches(texts, BATCH), args.rounds)
    for name, values in seconds.items():
        print(
            f"{name:<16} {len(texts) / median(values):6.1f} texts a CPU-second, "
            f"{ratio(seconds, 'one task at 1x', name):.2f} of one task at 1x"
        )


if __name__ == "__main__":
    main()
