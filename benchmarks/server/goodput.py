"""Answers in time when more arrives than can be done: with deadlines told to the batcher, and without.

    python benchmarks/server/goodput.py

The batcher is real; the engine waits as long as a batch of its size should take, with some noise, so that capacity is
known and other work on the machine does not matter. Requests arrive at random; their lengths and tasks are random too.
Told nothing, the batcher works first in, first out and drops what was given up while it waited, as the server once did.
"""

import argparse
import asyncio
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from merge_builder.ladder import Rung, RungSize
from serving.batcher import Batcher
from serving.engine.types import BatchOutput, Encoded, Input
from serving.errors import DeadlineExceeded, Overloaded
from serving.metrics import Metrics

TASKS = tuple(f"task{n}" for n in range(8))
MAX_BATCH = 1024  # tokens


@dataclass(frozen=True)
class Engine:
    """Takes `batch` seconds for any batch and `token` for each of its tokens, give or take a tenth."""

    batch: float
    token: float
    rung: Rung

    @property
    def tokens_a_second(self) -> float:
        """Of full batches."""
        return MAX_BATCH / (self.batch + self.token * MAX_BATCH)

    def run(self, batch: Sequence[Input]) -> BatchOutput:
        """Blocking."""
        tokens = sum(item.length for item in batch)
        time.sleep((self.batch + self.token * tokens) * random.uniform(0.9, 1.1))
        return BatchOutput(
            tuple({task: np.zeros(2, np.float32) for task in item.tasks} for item in batch), self.rung, tokens, 0
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loads", nargs="+", type=float, default=[0.8, 1.2, 2.0], help="of the capacity")
    parser.add_argument("--deadlines", nargs="+", type=float, default=[0.5, 1.0], help="seconds")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rung = Rung(RungSize(index=0, ratio=1.0, bytes=0), {}, {})
    print("| deadline | load | | tokens in time, of the capacity | answered | 429 | 504 |")
    print("|---|---|---|---|---|---|---|")
    for deadline, load, told in product(args.deadlines, args.loads, (False, True)):
        rounds = []
        for _ in range(args.rounds):
            rounds.append(asyncio.run(_offer(Engine(0.004, 0.0001, rung), load, deadline, told, args.seconds)))
        done, *shares = [statistics.median(column) for column in zip(*rounds, strict=True)]
        cells = [f"{deadline:g} s", f"{load:g}", "told" if told else "not told", f"{done:.2f}"]
        print("| " + " | ".join(cells + [f"{share:.2f}" for share in shares]) + " |", flush=True)


async def _offer(
    engine: Engine, load: float, deadline: float, told: bool, seconds: float
) -> tuple[float, float, float, float]:
    """Of the requests of the second half: the tokens answered in time, as a share of what the engine could have done,
    and the shares of requests answered, refused and late.
    """
    batcher = Batcher(engine.run, max_batch_tokens=MAX_BATCH, max_queued_tokens=65536, metrics=Metrics(TASKS))
    chance = random.Random(0)
    ends: Counter[str] = Counter()
    tokens = 0

    async def ask(counted: bool) -> None:
        nonlocal tokens
        length = min(4 + int(chance.expovariate(1 / 24)), 256)
        encoded = Encoded((1,) * length, (0,) * length, (chance.choice(TASKS),))
        due = time.perf_counter() + deadline
        end = "200"
        try:
            if told:
                batcher.check_time([encoded], due)
            await asyncio.wait_for(batcher.submit(encoded, due if told else math.inf), due - time.perf_counter())
        except Overloaded:
            end = "429"
        except (DeadlineExceeded, TimeoutError):
            end = "504"
        ends[end] += counted
        tokens += counted * length * (end == "200")

    rate = load * engine.tokens_a_second / 28
    start, due = time.perf_counter(), 0.0
    async with asyncio.TaskGroup() as group:
        while due < seconds:
            group.create_task(ask(due > seconds / 2))
            due += chance.expovariate(rate)
            await asyncio.sleep(max(0.0, due - (time.perf_counter() - start)))
    await batcher.aclose()
    done = tokens / (engine.tokens_a_second * seconds / 2)
    answered, refused, late = (ends[end] / ends.total() for end in ("200", "429", "504"))
    return done, answered, refused, late


if __name__ == "__main__":
    main()
