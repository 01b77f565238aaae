"""Changes of rung under load: failed requests, wrong answers, the longest silence, bytes read, memory.

    python benchmarks/server/swaps.py --ladder LADDER --data DATA

Sixteen clients ask while the rung goes down and up. The longest pause between two answers is told for the time of the
changes and for the time between them, for a pause is at least a batch. Every answer is compared with the engine's own
at the rung that the answer names. Memory is the replica's resident set, against what the rungs' bytes predict from the
first one on.
"""

import argparse
import asyncio
import itertools
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
from compare import free_port, mixed_texts

from merge_builder.ladder import Ladder, open_ladder, rung_at, select
from merge_builder.ladder.path import missing_bytes
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

CLIENTS = 16
SETTLE_SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ladder", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>/test.jsonl")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--rungs", nargs="+", default=["1", "8", "1.5", "4", "2"], help="gone through in turn")
    args = parser.parse_args()
    ladder, port = open_ladder(args.ladder), free_port()
    command = [str(Path(sys.executable).with_name("mergeladder")), "serve", str(args.ladder), "--rung", args.rungs[-1]]
    process = subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        if not any(line.startswith("open ") for line in process.stderr):
            raise SystemExit("the server did not start")
        (replica,) = (
            p for p in psutil.Process(process.pid).children(recursive=True) if "ServeReplica" in " ".join(p.cmdline())
        )
        texts = mixed_texts(args.data, [task.name for task in ladder.manifest.tasks])[:64]
        asyncio.run(_measure(ladder, texts, f"http://127.0.0.1:{port}", replica, args.rungs, args.swaps))
    finally:
        process.terminate()
        process.wait(60)


async def _measure(
    ladder: Ladder, texts: list[tuple[str, str]], url: str, replica: psutil.Process, rungs: list[str], swaps: int
) -> None:
    ends: list[float] = []
    statuses: Counter[int] = Counter()
    answers: list[tuple[int, str, list[float]]] = []
    changes: list[tuple[float, float]] = []
    over = asyncio.Event()

    async def client(number: int) -> None:
        place = number
        while not over.is_set():
            task, text = texts[place % len(texts)]
            body = {"inputs": [text], "parameters": {"return_logits": True}}
            async with http.post(f"/v1/tasks/{task}/predict", json=body) as got:
                told = await got.json()
                statuses[got.status] += 1
                if got.status == 200:
                    answers.append((place % len(texts), told["model"]["rung"], told["logits"][0]))
            ends.append(time.perf_counter())
            place += CLIENTS

    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(120)) as http:
        clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
        await asyncio.sleep(3)
        print("| from | to | seconds | bytes read | the difference | resident MiB | predicted MiB | off by |")
        print("|---|---|---|---|---|---|---|---|")
        first: tuple[float, int] | None = None
        for number in range(swaps):
            began = time.perf_counter()
            change = await _swap(http, rungs[number % len(rungs)])
            changes.append((began, time.perf_counter()))
            await asyncio.sleep(SETTLE_SECONDS)
            start, goal = (rung_at(ladder.manifest, int(change[end][1:])) for end in ("from", "to"))
            resident = replica.memory_info().rss / 2**20
            first = first or (resident, goal.size.bytes)
            predicted = first[0] + (goal.size.bytes - first[1]) / 2**20
            ends_at = f"{start.size.ratio:.2f}x | {goal.size.ratio:.2f}x"
            read = f"{change['bytes_read']} | {missing_bytes(start, goal)}"
            memory = f"{resident:.0f} | {predicted:.0f} | {resident / predicted - 1:+.1%}"
            print(f"| {ends_at} | {change['seconds']:.2f} | {read} | {memory} |", flush=True)
        over.set()
        await asyncio.gather(*clients)
    print(f"\n{sum(statuses.values())} requests over {swaps} changes: {dict(statuses)}")
    print(f"wrong answers: {_wrong(ladder, texts, answers)} of {len(answers)}")
    during, between = _pauses(sorted(ends), changes)
    print(f"longest time without an answer: {max(during):.3f} s in changes, {max(between):.3f} s between them")


def _pauses(ends: list[float], changes: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The times between two answers that fall into a change, if only in part, and those between changes."""
    during, between = [], []
    for before, after in itertools.pairwise(ends):
        meets = any(before < ended and began < after for began, ended in changes)
        (during if meets else between).append(after - before)
    return during, between


async def _swap(http: aiohttp.ClientSession, rung: str) -> dict[str, Any]:
    async with http.post("/admin/v1/budget", json={"rung": rung}) as begun:
        operation = (await begun.json())["operation"]
    while True:
        async with http.get("/v1/nodes") as told:
            change: dict[str, Any] = (await told.json())["nodes"][0]["change"]
        if change["operation"] == operation and change["state"] != "running":
            return change
        await asyncio.sleep(0.02)


def _wrong(ladder: Ladder, texts: list[tuple[str, str]], answers: list[tuple[int, str, list[float]]]) -> int:
    """Answers that are not, to 1e-4, those of the rung they name."""
    wrong = 0
    engine = load_engine(ladder, rung_at(ladder.manifest, select(ladder.manifest, "1").index))
    for name in sorted({rung for _, rung, _ in answers}):
        engine.swap(rung_at(ladder.manifest, int(name[1:])))
        expected: dict[int, np.ndarray] = {}
        for place, rung, logits in answers:
            if rung == name:
                if place not in expected:
                    expected[place] = _ask(engine, *texts[place])
                wrong += not np.allclose(expected[place], logits, atol=1e-4)
    return wrong


def _ask(engine: Any, task: str, text: str) -> np.ndarray:
    tokens = engine.tokenizer.encode([text], None, max_length=engine.max_length(task), truncate=True)[0]
    return engine.run([Encoded(tokens.input_ids, tokens.token_type_ids, (task,))]).logits[0][task]


if __name__ == "__main__":
    main()
