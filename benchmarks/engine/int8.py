"""8-bit weights: what they gain in time and memory, and what they cost in accuracy on the suite's test rows.

    python benchmarks/engine/int8.py --experts EXPERTS --data DATA --work DIR

Scores of both kinds are kept in the ladder of DIR. The difference is of the same rows, with a 95 % bootstrap interval
over the rows of each task.
"""

import argparse
from pathlib import Path
from statistics import median

import numpy as np
import torch
import yaml
from interleaved import interleaved, ratio
from suite import arguments, arrivals, batches, ladder_of, tasks_of

from deploy.runner import engine_runner
from merge_builder.evaluation import evaluate, load_data
from merge_builder.evaluation.bitmap import unpack
from merge_builder.ladder import Ladder, rung_at, select
from serving.engine.engine import load_engine

SIZES = ("1", "2", "#0")
ROWS = 1000


def main() -> None:
    args = arguments(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    ladder = ladder_of(args)
    _speed(args, ladder)
    _accuracy(args, ladder)


def _speed(args: argparse.Namespace, ladder: Ladder) -> None:
    for size in SIZES:
        rung = rung_at(ladder.manifest, select(ladder.manifest, size).index)
        plain, eight = load_engine(ladder, rung), load_engine(ladder, rung, dtype="int8")
        held = [sum(engine.bytes_loaded.values()) / 1e6 for engine in (plain, eight)]
        print(f"{rung.size.ratio:.2f}x holds {held[0]:.0f} MB in float32 and {held[1]:.0f} MB in int8")
        texts = arrivals(args, plain.tokenizer)
        for count in (1, 8, 64):
            cut = batches(texts[: max(count, 32 if count == 1 else len(texts))], count)
            seconds = interleaved({"float32": plain.run, "int8": eight.run}, cut, args.rounds)
            each = [1000 * median(seconds[name]) / sum(map(len, cut)) for name in ("float32", "int8")]
            print(
                f"  batch {count:2d}: {each[0]:.2f} and {each[1]:.2f} CPU-ms a text, "
                f"{ratio(seconds, 'float32', 'int8'):.2f} times as fast",
                flush=True,
            )


def _accuracy(args: argparse.Namespace, ladder: Ladder) -> None:
    data = load_data(_data_file(args), ladder)
    rungs = [select(ladder.manifest, size) for size in SIZES]
    plain = evaluate(ladder, rungs, data, engine_runner(ladder))
    eight = evaluate(ladder, rungs, data, engine_runner(ladder, dtype="int8"), dtype="int8")
    chance = np.random.default_rng(0)
    for rung in rungs:
        points, samples = [], []
        for a, b in zip(plain, eight, strict=True):
            if a.rung == rung.index:
                gained = unpack(b.right, b.rows).astype(float) - unpack(a.right, a.rows)
                points.append(gained.mean())
                samples.append(gained[chance.integers(0, len(gained), (1000, len(gained)))].mean(axis=1))
        low, high = np.percentile(np.mean(samples, axis=0), (2.5, 97.5))
        accuracy = np.mean([score.accuracy for score in plain if score.rung == rung.index])
        print(
            f"{rung.ratio:.2f}x: mean accuracy {100 * accuracy:.2f} %, int8 changes it by {100 * np.mean(points):+.2f} "
            f"points ({100 * low:+.2f} to {100 * high:+.2f}), worst task {100 * min(points):+.2f}"
        )


def _data_file(args: argparse.Namespace) -> Path:
    for task in tasks_of(args):
        lines = (args.data / task / "test.jsonl").read_text(encoding="utf-8").splitlines()
        (args.work / f"{task}.jsonl").write_text("\n".join(lines[:ROWS]), encoding="utf-8")
    path: Path = args.work / "data.yaml"
    path.write_text(yaml.safe_dump({"tasks": {task: f"{task}.jsonl" for task in tasks_of(args)}}))
    return path


if __name__ == "__main__":
    main()
