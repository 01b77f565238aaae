"""(c) One text asked for all tasks in one request, against a request for each task, by both trace objectives.

    python benchmarks/engine/fan_out.py --experts EXPERTS --data DATA --work DIR

Every text is a request by itself: nothing is batched. `passes` is the work of the one request in forward passes.
"""

from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from interleaved import interleaved, ratio
from suite import arguments, arrivals, ladder_of

from merge_builder.ladder import Ladder, rung_at, select
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded

SIZES = ("1", "1.25", "1.5", "2", "3")


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(texts=24)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for objective in ("size", "compute"):
        ladder = ladder_of(args, objective, objective=objective)
        texts = arrivals(args, load_engine(ladder, rung_at(ladder.manifest, 0)).tokenizer)
        for size in SIZES:
            _measure(ladder, objective, size, texts, args.rounds)


def _measure(ladder: Ladder, objective: str, size: str, texts: list[Encoded], rounds: int) -> None:
    rung = rung_at(ladder.manifest, select(ladder.manifest, size).index)
    engine, tasks = load_engine(ladder, rung), tuple(task.name for task in ladder.manifest.tasks)
    contenders: dict[str, Callable[[Encoded], object]] = {
        "a request for each": lambda text: [engine.run([replace(text, tasks=(task,))]) for task in tasks],
        "one request": lambda text: engine.run([replace(text, tasks=tasks)]),
    }
    seconds = interleaved(contenders, texts, rounds)
    answers = len(texts) * len(tasks)
    print(
        f"objective {objective:<7} {rung.size.ratio:4.2f}x: {answers / median(seconds['one request']):5.0f} answers a "
        f"CPU-second, {ratio(seconds, 'a request for each', 'one request'):.2f} times those of a request for each of "
        f"{len(tasks)} tasks; {_passes(engine, replace(texts[0], tasks=tasks)):.2f} passes",
        flush=True,
    )


def _passes(engine: Engine, text: Encoded) -> float:
    """Tokens that entered layers, over those of the same text asked for one task."""
    alone = engine.run([replace(text, tasks=text.tasks[:1])])
    return engine.run([text]).layer_tokens / alone.layer_tokens


if __name__ == "__main__":
    main()
