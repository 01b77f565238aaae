"""(d) From nothing to the first answer: an engine loaded at rungs of several sizes, files in the page cache, no Ray.

    python benchmarks/engine/load.py --experts EXPERTS --data DATA --work DIR

Python and its libraries are imported already. `ready` is one text answered for every task.
"""

import time
from statistics import median

import torch
from suite import arguments, ladder_of

from merge_builder.ladder import rung_at, select
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

SIZES = ("1", "2", "8")


def main() -> None:
    args = arguments(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    ladder = ladder_of(args)
    tasks = tuple(task.name for task in ladder.manifest.tasks)
    for size in SIZES:
        rung = rung_at(ladder.manifest, select(ladder.manifest, size).index)
        figures = []
        for _ in range(args.rounds + 1):
            start, cpu = time.perf_counter(), time.process_time()
            engine = load_engine(ladder, rung)
            loaded = time.perf_counter()
            engine.run([Encoded((101, 2003, 102), (0, 0, 0), tasks)])
            figures.append((loaded - start, time.perf_counter() - start, time.process_time() - cpu))
        to_loaded, to_ready, cpu = (1000 * median(column) for column in zip(*figures[1:], strict=True))
        print(
            f"{rung.size.ratio:4.2f}x, {rung.size.bytes / 1e6:4.0f} MB: loaded after {to_loaded:4.0f} ms, "
            f"ready after {to_ready:4.0f} ms ({cpu:4.0f} CPU-ms)"
        )


if __name__ == "__main__":
    main()
