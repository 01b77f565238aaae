"""How long the engine takes for a batch, by rung and batch size: the input of `mergeladder simulate`.

    python benchmarks/server/service_times.py --ladder LADDER --data DATA.yaml --out service_times.json

Batches are of real rows of all tasks, drawn at random and tokenised before, each asked for its own task. The rungs take
turns on every batch; a time is the median over the rounds of this process's CPU-seconds, on one thread.
"""

import argparse
import platform
import random
import time
from math import prod
from pathlib import Path
from statistics import fmean, median

import torch

from deploy.simulate.service_times import Measured, ServiceTimes
from merge_builder.checkpoints.files import write_atomic
from merge_builder.evaluation import load_data
from merge_builder.ladder import Ladder, Manifest, open_ladder, rung_at, select
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded

TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ladder", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="as for `mergeladder evaluate`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rungs", nargs="+", default=["1", "1.25", "1.5", "2", "3", "4"])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    ladder = open_ladder(args.ladder)
    sizes = [select(ladder.manifest, rung) for rung in args.rungs]
    engines = {size.ratio: load_engine(ladder, rung_at(ladder.manifest, size.index)) for size in sizes}
    inputs = _inputs(ladder, args.data, next(iter(engines.values())))
    times = [row for texts in TEXTS for row in _measure(engines, inputs, texts, args.rounds)]
    measured = ServiceTimes(
        ladder=f"{ladder.name}, revision {ladder.manifest.revision}",
        machine=f"one thread of {_processor()}",
        parameters=_parameters(ladder.manifest),
        times=tuple(times),
    )
    write_atomic(args.out, measured.model_dump_json(indent=2).encode() + b"\n")
    for row in times:
        print(f"{row.ratio:5.2f}x {row.texts:3d} texts, {row.tokens:6.0f} tokens: {row.tokens / row.seconds:6.0f} a s")


def _inputs(ladder: Ladder, data: Path, engine: Engine) -> list[Encoded]:
    """The rows of all tasks in a fixed random order, each task as often."""
    found = load_data(data, ladder)
    inputs = []
    for task, own in found.items():
        texts, pairs = [row.text for row in own.rows], [row.text_pair for row in own.rows]
        tokens = engine.tokenizer.encode(texts, pairs, max_length=engine.max_length(task), truncate=True)
        inputs += [Encoded(item.input_ids, item.token_type_ids, (task,)) for item in tokens]
    random.Random(0).shuffle(inputs)
    return inputs


def _measure(engines: dict[float, Engine], inputs: list[Encoded], texts: int, rounds: int) -> list[Measured]:
    seconds: dict[float, list[float]] = {ratio: [] for ratio in engines}
    tokens = []
    for number in range(rounds + 1):  # the first to warm up
        batch = [inputs[(number * texts + place) % len(inputs)] for place in range(texts)]
        for ratio, engine in engines.items():
            start = time.process_time()
            engine.run(batch)
            if number:
                seconds[ratio].append(time.process_time() - start)
        if number:
            tokens.append(sum(len(item.input_ids) for item in batch))
    return [
        Measured(ratio=round(ratio, 4), texts=texts, tokens=fmean(tokens), seconds=median(own))
        for ratio, own in seconds.items()
    ]


def _parameters(manifest: Manifest) -> int:
    """Those that every token passes: all but the embeddings."""
    specs = [spec for block in manifest.blocks for spec in block.tensors if not spec.name.startswith("embeddings.")]
    return sum(prod(spec.shape) for spec in specs)


def _processor() -> str:
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
