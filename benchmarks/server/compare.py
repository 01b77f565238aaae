"""Whole servers side by side: requests a second, latency, CPU time and memory, in one run.

    python benchmarks/server/compare.py --ladder LADDER --experts EXPERTS --data DATA \
        --litserve LITSERVE/bin/python --infinity INFINITY/bin/infinity_emb

A request is one real text for one task; the tasks take turns, texts come as long as they are. All servers run at once
and are asked in turn, round by round, so that a machine that changes its speed changes it for all. One thread computes
in each. `--litserve` and `--infinity` are of virtual environments with those programs; left out, they are not asked.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import psutil
from load import Load, Request, closed_loop
from process_tree import cpu_between, usage_of

RIVALS = Path(__file__).parent / "rivals"
START_SECONDS = 300
QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Server:
    """A server under test: how it is started, when it is ready, and how it is asked."""

    name: str
    command: Sequence[str]
    ready: str
    requests: Sequence[Request]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Round:
    load: Load
    cpu: float
    memory: float


def main() -> None:
    args = arguments(__doc__)
    servers = servers_of(args)
    with ExitStack() as stack:
        pids = {server.name: stack.enter_context(started(server)) for server in servers}
        for server in servers:
            wait_until_ready(server)
            closed_loop(server.url, server.requests, clients=16, seconds=3)
        for clients in args.clients:
            rounds: dict[str, list[Round]] = {server.name: [] for server in servers}
            for _ in range(args.rounds):
                for server in servers:
                    rounds[server.name].append(_round(server, pids[server.name], clients, args.seconds))
            _tell(clients, rounds)


def arguments(description: str) -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--ladder", type=Path, required=True, help="built from --experts")
    parser.add_argument("--experts", type=Path, required=True, help="folder of a transformers folder a task")
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>/test.jsonl")
    parser.add_argument("--rungs", nargs="+", default=["2.0"])
    parser.add_argument("--no-ray", action="store_true", help="ask ours in one process, too")
    parser.add_argument("--litserve", help="a Python that has litserve and transformers")
    parser.add_argument("--infinity", help="the program infinity_emb")
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    return parser.parse_args()


def servers_of(args: argparse.Namespace) -> list[Server]:
    """Those that are asked for: ours at each rung, plain FastAPI, and the others where they are given."""
    python, experts = sys.executable, str(args.experts.resolve())
    texts = mixed_texts(args.data, sorted(folder.name for folder in args.experts.iterdir() if folder.is_dir()))
    ours = [(f"/v1/tasks/{task}/predict", {"inputs": [text], "parameters": {"top_k": 1}}) for task, text in texts]
    servers = []
    for rung, alone in product(args.rungs, [False, True] if args.no_ray else [False]):
        port = free_port()
        command = [str(Path(python).with_name("mergeladder")), "serve", str(args.ladder), "--rung", rung]
        command += ["--port", str(port), *(["--no-ray"] if alone else [])]
        name = f"mergeladder {rung}x" + (", no Ray" if alone else "")
        servers.append(Server(name, command, "/v2/health/ready", ours, port))
    port = free_port()
    plain: list[Request] = [(f"/predict/{task}", {"text": text}) for task, text in texts]
    servers.append(
        Server("plain FastAPI", [python, str(RIVALS / "plain.py"), experts, str(port)], "/ready", plain, port)
    )
    if args.litserve:
        port = free_port()
        asked: list[Request] = [("/predict", {"task": task, "text": text}) for task, text in texts]
        command = [args.litserve, str(RIVALS / "litserve_app.py"), experts, str(port)]
        servers.append(Server("LitServe", command, "/health", asked, port))
    if args.infinity:
        port = free_port()
        classify: list[Request] = [("/classify", {"model": task, "input": [text]}) for task, text in texts]
        command = [args.infinity, "v2", "--port", str(port), "--device", "cpu", "--no-bettertransformer"]
        for task in sorted({task for task, _ in texts}):
            command += ["--model-id", f"{experts}/{task}", "--served-model-name", task, "--engine", "torch"]
        servers.append(Server("infinity", command, "/health", classify, port))
    return servers


def mixed_texts(data: Path, tasks: Sequence[str]) -> list[tuple[str, str]]:
    """(task, text), the tasks in turn."""
    rows = [[json.loads(line)["text"] for line in (data / task / "test.jsonl").open()][:200] for task in tasks]
    return [(task, text) for turn in zip(*rows, strict=False) for task, text in zip(tasks, turn, strict=True)]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def started(server: Server) -> Iterator[int]:
    """Its process id."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(server.command, stdout=quiet, stderr=quiet, env=os.environ | QUIET, cwd="/")
    try:
        yield process.pid
    finally:
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.terminate()
        process.wait(60)
        for left in psutil.wait_procs(tree, timeout=5)[1]:  # LitServe leaves its workers behind
            left.kill()


def wait_until_ready(server: Server) -> None:
    """Returns once it is."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(server.url + server.ready, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"{server.name} was not ready after {START_SECONDS} s: {' '.join(server.command)}")


def _round(server: Server, pid: int, clients: int, seconds: float) -> Round:
    before = usage_of(pid)
    load = closed_loop(server.url, server.requests, clients=clients, seconds=seconds)
    after = usage_of(pid)
    if set(load.statuses) != {200}:
        raise SystemExit(f"{server.name} answered with {load.statuses}")
    return Round(load, cpu_between(before, after) / len(load.latencies), after.memory)


def _tell(clients: int, rounds: dict[str, list[Round]]) -> None:
    """Medians over the rounds; the ratio is the median of the rounds' ratios to the first server's."""
    first = next(iter(rounds.values()))
    print(f"\n| {clients} clients | requests/s | first / this | p50 ms | p95 ms | CPU ms a request | memory MiB |")
    print("|---|---|---|---|---|---|---|")
    for name, own in rounds.items():
        ratio = statistics.median(a.load.rate / b.load.rate for a, b in zip(first, own, strict=True))
        cells = [
            statistics.median(r.load.rate for r in own),
            ratio,
            statistics.median(r.load.percentile(50) for r in own),
            statistics.median(r.load.percentile(95) for r in own),
            statistics.median(r.cpu for r in own) * 1000,
            own[-1].memory,
        ]
        print(
            f"| {name} | "
            + " | ".join(f"{cell:.2f}" if i == 1 else f"{cell:.1f}" for i, cell in enumerate(cells))
            + " |"
        )


if __name__ == "__main__":
    main()
