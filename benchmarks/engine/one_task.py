"""(a) One shared model asked for one task: the engine's packed batches against transformers' padded ones.

    python benchmarks/engine/one_task.py --experts EXPERTS --data DATA --work DIR

Texts of all tasks in the order they arrive, tokenised beforehand, the same batches for both. A batch of 1 is a lone
text.
"""

from dataclasses import replace
from statistics import median

import torch
from interleaved import interleaved, ratio
from suite import arguments, arrivals, batches, exported, ladder_of, padded

from merge_builder.ladder import rung_at
from serving.engine.engine import load_engine

SIZES = (1, 32, 64)


def main() -> None:
    args = arguments(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    ladder = ladder_of(args)
    last, task = ladder.manifest.rungs[-1], ladder.manifest.tasks[0].name
    engine, model = load_engine(ladder, rung_at(ladder.manifest, last.index)), exported(args, ladder, task, last)
    texts = [replace(item, tasks=(task,)) for item in arrivals(args, engine.tokenizer)]
    tokens = sum(len(item.input_ids) for item in texts)
    print(f"{len(texts)} texts of {tokens / len(texts):.1f} tokens; {last.ratio:g}x, task {task}")
    for size in SIZES:
        cut = batches(texts[: max(64, len(texts) * min(size, 32) // 32)], size)
        area = sum(len(batch) * max(len(item.input_ids) for item in batch) for batch in cut)
        real = sum(len(item.input_ids) for batch in cut for item in batch)
        seconds = interleaved({"padded": lambda b: padded(model, b), "engine": engine.run}, cut, args.rounds)
        count = sum(map(len, cut))
        each = {name: 1000 * median(values) / count for name, values in seconds.items()}
        print(
            f"batch {size:3d}: transformers {each['padded']:6.2f} CPU-ms a text, engine {each['engine']:6.2f} "
            f"({1000 / each['engine']:.0f} texts and {1000 * real / count / each['engine']:.0f} tokens a CPU-second), "
            f"{ratio(seconds, 'padded', 'engine'):.2f} times as fast; real tokens of the padded area {real / area:.2f}"
        )
    logits = padded(model, texts[:64])
    mine = torch.stack([torch.from_numpy(out[task]) for out in engine.run(texts[:64]).logits])
    print(f"greatest difference of a logit: {(logits - mine).abs().max():.1e}")


if __name__ == "__main__":
    main()
