"""What it costs to give freed memory back: CPU time of a full batch afterwards, against the same with it kept.

    python benchmarks/engine/given_back.py --experts EXPERTS --data DATA --work DIR --texts 128 --max-length 512

The server does it once a minute at most (`serving.engine.allocator`).
"""

import time
from statistics import median

import torch
from suite import arguments, arrivals, ladder_of

from merge_builder.ladder import rung_at, select
from serving.engine.allocator import FreedMemory
from serving.engine.engine import load_engine


def main() -> None:
    args = arguments(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    ladder = ladder_of(args)
    engine = load_engine(ladder, rung_at(ladder.manifest, select(ladder.manifest, "2").index))
    batch = arrivals(args, engine.tokenizer)
    engine.run(batch)
    freed = FreedMemory()
    pairs = []
    for _ in range(args.rounds):
        start = time.process_time()
        freed.release()
        engine.run(batch)
        middle = time.process_time()
        engine.run(batch)
        pairs.append((middle - start, time.process_time() - middle))
    costs = [given - kept for given, kept in pairs]
    tokens = sum(len(item.input_ids) for item in batch)
    print(f"a batch of {tokens} tokens: {median(kept for _, kept in pairs):.2f} CPU-s with memory kept,")
    print(f"{median(costs):.3f} CPU-s more (from {min(costs):.3f} to {max(costs):.3f}) where it was given back before")


if __name__ == "__main__":
    main()
