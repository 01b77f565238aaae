"""(e) What a second process on one machine adds when it loads the ladder that another has loaded already.

    python benchmarks/engine/memory.py --experts EXPERTS --data DATA --work DIR

Proportional memory (Pss in /proc/PID/smaps_rollup: a page that n processes map counts 1/n to each), summed over both
processes, after each has answered one text for every task; what they took before they loaded is left out.
"""

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from suite import arguments, ladder_of

from merge_builder.ladder import open_ladder, rung_at, select
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

SIZES = ("1", "2", "8")


def main() -> None:
    args = arguments(__doc__).parse_args()
    ladder = ladder_of(args)
    processes = multiprocessing.get_context("spawn")
    for size in SIZES:
        rung = select(ladder.manifest, size)
        pipes = [processes.Pipe() for _ in range(2)]
        workers = [
            processes.Process(target=_work, args=(ladder.root, rung.index, theirs), daemon=True) for _, theirs in pipes
        ]
        for worker in workers:
            worker.start()
        (first, _), (second, _) = pipes
        nothing = _memory(first, "measure") + _memory(second, "measure")
        one = _memory(first, "load") + _memory(second, "measure")
        both = _memory(second, "load") + _memory(first, "measure")
        for worker in workers:
            worker.terminate()
        print(
            f"{rung.ratio:4.2f}x, {rung.bytes / 1e6:4.0f} MB: the first process adds {(one - nothing) / 1e6:4.0f} MB, "
            f"the second {(both - one) / 1e6:4.0f} MB, {(both - one) / rung.bytes:.3f} of the weights",
            flush=True,
        )


def _memory(worker: Connection, order: str) -> int:
    worker.send(order)
    answer: int = worker.recv()
    return answer


def _work(root: Path, index: int, orders: Connection) -> None:
    torch.set_num_threads(1)
    ladder, engines = open_ladder(root), []
    while True:
        if orders.recv() == "load":
            engines.append(load_engine(ladder, rung_at(ladder.manifest, index)))
            engines[0].run([Encoded((101, 2003, 102), (0, 0, 0), tuple(task.name for task in ladder.manifest.tasks))])
        rollup = Path("/proc/self/smaps_rollup").read_text()
        kilobytes = next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
        orders.send(1024 * int(kilobytes))


if __name__ == "__main__":
    main()
