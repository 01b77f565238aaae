"""How far the engine is from this core's matrix products, and where the rest of its time goes: 1x, one task, batch 64.

python benchmarks/engine/floor.py --experts EXPERTS --data DATA --work DIR
"""

import time
from dataclasses import replace
from statistics import median

import torch
from suite import arguments, arrivals, batches, ladder_of
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from merge_builder.ladder import rung_at
from serving.engine.engine import load_engine

BATCH = 64
SHOWN = 8


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(texts=128)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ladder = ladder_of(args)
    manifest = ladder.manifest
    engine, task = load_engine(ladder, rung_at(manifest, manifest.rungs[-1].index)), manifest.tasks[0].name
    cut = batches([replace(item, tasks=(task,)) for item in arrivals(args, engine.tokenizer)], BATCH)
    rates, seconds = [], []
    for _ in range(args.rounds + 1):
        rates.append(_rate())
        start = time.process_time()
        for batch in cut:
            engine.run(batch)
        seconds.append(time.process_time() - start)
    with FlopCounterMode(display=False) as counter:
        for batch in cut:
            engine.run(batch)
    rate, flops, taken = median(rates[1:]), counter.get_total_flops(), median(seconds[1:])
    print(
        f"products of (1024, 384) and (384, 1536): {rate / 1e9:.0f} GFLOP a CPU-second; "
        f"the engine: {flops / taken / 1e9:.0f} ({flops / taken / rate:.2f} of it)"
    )
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for batch in cut:
            engine.run(batch)
    spent = sorted(((event.self_cpu_time_total, event.key) for event in profiled.key_averages()), reverse=True)
    total = sum(time for time, _ in spent)
    print(", ".join(f"{name.removeprefix('aten::')} {100 * time / total:.1f} %" for time, name in spent[:SHOWN]))


def _rate() -> float:
    """Floating-point operations a CPU-second in matrix products of the feed-forward block's shape."""
    left, right = torch.randn(1024, 384), torch.randn(384, 1536)
    start = time.process_time()
    for _ in range(8):
        left @ right
    return 8 * 2 * left.numel() * right.shape[1] / (time.process_time() - start)


if __name__ == "__main__":
    main()
