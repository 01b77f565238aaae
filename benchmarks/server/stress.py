"""Twice the load that the server can answer, for minutes: what becomes of every request, and of the memory.

    python benchmarks/server/stress.py --ladder LADDER --data DATA --minutes 10

Capacity is measured first, by 64 clients in a closed loop. Then requests arrive at twice that rate whatever becomes of
the earlier ones: one text or eight, one task or all, some long, each with a deadline of five seconds.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp
import numpy as np
import psutil
from load import Request, closed_loop

PORT = 8124
URL = f"http://127.0.0.1:{PORT}"
DEADLINE_SECONDS = 5.0
SAMPLE_SECONDS = 5.0
ANSWERS = {200, 429, 504}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ladder", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>/test.jsonl")
    parser.add_argument("--rung", default="2.0")
    parser.add_argument("--minutes", type=float, default=10.0)
    args = parser.parse_args()
    command = [str(Path(sys.executable).with_name("mergeladder")), "serve", str(args.ladder), "--rung", args.rung]
    process = subprocess.Popen([*command, "--port", str(PORT)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        if not any(line.startswith("open ") for line in process.stderr):
            raise SystemExit("the server did not start")
        requests = _requests(args.data)
        capacity = closed_loop(URL, requests, clients=64, seconds=15).rate
        print(f"capacity {capacity:.0f} requests/s; {2 * capacity:.0f} arrive each second", flush=True)
        asyncio.run(_flood(requests, 2 * capacity, args.minutes * 60, _replica(process.pid)))
    finally:
        process.terminate()
        process.wait(60)


def _requests(data: Path) -> list[Request]:
    """A fixed mix: of ten requests six ask one task of one text, two one task of eight, two all tasks of one."""
    chance = random.Random(0)
    rows = {
        file.parent.name: [json.loads(line)["text"] for line in file.open()][:200]
        for file in sorted(data.glob("*/test.jsonl"))
    }
    tasks = [task["name"] for task in _served_tasks()]
    texts = [text for task in tasks for text in rows[task]]
    chance.shuffle(texts)
    requests: list[Request] = []
    for number in range(0, len(texts) - 8, 8):
        task, kind = chance.choice(tasks), number // 8 % 10
        if kind < 6:
            requests.append((f"/v1/tasks/{task}/predict", {"inputs": [texts[number]]}))
        elif kind < 8:
            requests.append((f"/v1/tasks/{task}/predict", {"inputs": texts[number : number + 8]}))
        else:
            requests.append(("/v1/predict", {"inputs": [" ".join(texts[number : number + 4])], "tasks": "all"}))
    return requests


def _served_tasks() -> list[dict[str, str]]:
    async def ask() -> list[dict[str, str]]:
        async with aiohttp.ClientSession(URL) as http, http.get("/v1/tasks") as answer:
            return (await answer.json())["tasks"]

    return asyncio.run(ask())


def _replica(pid: int) -> psutil.Process:
    (found,) = (p for p in psutil.Process(pid).children(recursive=True) if "ServeReplica" in " ".join(p.cmdline()))
    return found


async def _flood(requests: list[Request], rate: float, seconds: float, replica: psutil.Process) -> None:
    ends: Counter[str] = Counter()
    memory: list[tuple[float, float]] = []
    sent = 0
    start = time.perf_counter()

    async def one(request: Request) -> None:
        path, body = request
        try:
            async with http.post(path, json=body, headers={"x-request-timeout-seconds": str(DEADLINE_SECONDS)}) as got:
                text = await got.read()
                whole = got.status != 200 or b"usage" in text
                ends[str(got.status) if whole else "cut off"] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            ends[type(error).__name__] += 1

    async def sample() -> None:
        while True:
            memory.append((time.perf_counter() - start, replica.memory_full_info().uss / 2**20))
            await asyncio.sleep(SAMPLE_SECONDS)

    timeout, connector = aiohttp.ClientTimeout(60), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(URL, connector=connector, timeout=timeout) as http, asyncio.TaskGroup() as group:
        sampling = group.create_task(sample())
        chance = random.Random(1)
        due = 0.0
        under_way: set[asyncio.Task[None]] = set()
        while due < seconds:
            task = group.create_task(one(requests[sent % len(requests)]))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            sent += 1
            due += chance.expovariate(rate)
            await asyncio.sleep(max(0.0, due - (time.perf_counter() - start)))
        await asyncio.gather(*under_way)
        sampling.cancel()
    _tell(sent, ends, memory, replica)


def _tell(sent: int, ends: Counter[str], memory: list[tuple[float, float]], replica: psutil.Process) -> None:
    warm = [(at, size) for at, size in memory if at >= memory[-1][0] / 4]
    slope = float(np.polyfit(*zip(*warm, strict=True), 1)[0]) * 60
    print(f"{sent} requests: " + ", ".join(f"{count} x {end}" for end, count in sorted(ends.items())))
    print(f"answered in no other way: {sent - sum(ends.values())} lost, others: {set(ends) - set(map(str, ANSWERS))}")
    print(f"memory of its own after warm-up: {warm[0][1]:.0f} MiB, at the end {warm[-1][1]:.0f} MiB")
    print("MiB, each tenth of the time:", *(f"{size:.0f}" for _, size in memory[:: max(1, len(memory) // 10)]))
    print(f"most {max(size for _, size in warm):.0f} MiB, trend {slope:+.2f} MiB a minute")
    print(f"the replica is the one that began: {replica.is_running()}")


if __name__ == "__main__":
    main()
