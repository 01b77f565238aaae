"""What tuning with labelled rows gives, at some rungs of one ladder; finished lines are skipped.

    python benchmarks/suite/tuned.py --experts EXPERTS --data DATA --work FOLDER --out tuned.jsonl
    python benchmarks/suite/tuned.py --base BASE --experts IMAGE_EXPERTS --data NPZ --work FOLDER --out images.jsonl

DATA holds `<task>/<split>.jsonl`, or `<task>.npz` of images (see vision_experts.py), which the engine prepares as each
expert's own image processor says. Every method merges the same groups: those of the product's own recipe; but for DIS,
which takes whole layers, for 1x alone. Searches see the validation rows that `mergeladder tune` would give them;
`held_out` decides whether a result is published; `test` is reported once. A line of the output is one method at one
rung, with what its search cost. The ensemble is of all experts for every task, at the size of all of them.
"""

import argparse
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from tuned_suite import ENSEMBLE, METHODS, Suite

from merge_builder.ladder import select
from merge_builder.tuning.fisher import ROWS


def main() -> None:
    args = _arguments()
    torch.set_num_threads(1)
    done = set()
    if args.out.exists():
        done = {(line["method"], line["rung"]) for line in map(json.loads, args.out.read_text().splitlines())}
    with ExitStack() as args.stack:
        suite = Suite(args)
        experts = suite.ladder.manifest.rungs[0]
        if ENSEMBLE in args.methods and (ENSEMBLE, experts.index) not in done:
            _keep(args.out, lambda: suite.measure_ensemble(experts))
        for size in args.sizes:
            rung = select(suite.ladder.manifest, size)
            last = rung.index == len(suite.ladder.manifest.rungs) - 1
            for method in args.methods:
                if method != ENSEMBLE and (last or method != "DIS") and (method, rung.index) not in done:
                    _keep(args.out, lambda m=method, r=rung: suite.measure(m, r))


def _keep(out: Path, measure: Callable[[], dict[str, Any]]) -> None:
    line = measure()
    with out.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(
        f"{line['ratio']:.2f}x {line['method']:<22} test {line['test']['mean']:.3f}, "
        f"worst {line['test']['worst']:.2f} ({line['cpu_minutes']:.1f} CPU-minutes)",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=Path, required=True, help="folder of one expert a task")
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>/<split>.jsonl, or <task>.npz")
    parser.add_argument("--base", type=Path, help="transformers folder of the base (the demo's base if not given)")
    parser.add_argument("--work", type=Path, required=True, help="folder for the ladder and what is computed")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", nargs="+", default=["1", "2", "1.5"])
    parser.add_argument("--methods", nargs="+", default=(ENSEMBLE, *METHODS))
    parser.add_argument("--rows", type=int, default=96, help="of each task, for a candidate in the search")
    parser.add_argument("--test-rows", type=int, default=200, help="of each task, the first ones")
    parser.add_argument("--fisher-rows", type=int, default=ROWS, help="of each task, for Fisher values")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
