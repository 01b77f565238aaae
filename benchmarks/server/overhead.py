"""What HTTP, batching and Ray cost a request beyond the bare engine: CPU milliseconds of the whole process tree.

    python benchmarks/server/overhead.py

The model is so small (one layer of 16) that nearly all is overhead; what the bare engine takes for the same texts, in
batches of the size that the server formed, is subtracted.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from load import Request, closed_loop
from process_tree import cpu_between, usage_of
from transformers import BertConfig, BertForSequenceClassification, BertModel

from deploy.demo.base import FILES, base_model
from merge_builder.build import build
from merge_builder.ladder import Ladder, rung_at
from merge_builder.progress import silent
from merge_builder.recipe import parse_recipe
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

TASKS = ("one", "two", "three", "four")
TEXT = "the match ended in a draw after a late goal"
PORT = 8123


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args()
    requests: list[Request] = [(f"/v1/tasks/{task}/predict", {"inputs": [TEXT]}) for task in TASKS]
    print("| clients | requests/s | p50 ms | whole tree, CPU ms | bare engine, CPU ms | HTTP and Ray, CPU ms |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, _served(_pico_ladder(Path(folder))) as (ladder, pid):
        url = f"http://127.0.0.1:{PORT}"
        closed_loop(url, requests, clients=16, seconds=2)
        for clients in args.clients:
            rounds = []
            for _ in range(args.rounds):
                before, batches = usage_of(pid), _batches(url)
                load = closed_loop(url, requests, clients=clients, seconds=args.seconds)
                cpu = cpu_between(before, usage_of(pid)) / len(load.latencies) * 1000
                size = len(load.latencies) / (_batches(url) - batches)
                engine = _bare(ladder, round(size))
                rounds.append((load.rate, load.percentile(50), cpu, engine, cpu - engine))
            cells = [statistics.median(column) for column in zip(*rounds, strict=True)]
            print(f"| {clients} | {cells[0]:.0f} | " + " | ".join(f"{cell:.2f}" for cell in cells[1:]) + " |")


def _pico_ladder(folder: Path) -> Ladder:
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    BertModel(BertConfig(**shape)).save_pretrained(folder / "base")
    for task in TASKS:
        BertForSequenceClassification(BertConfig(**shape)).save_pretrained(folder / task)
    for name in FILES:
        if name not in ("config.json", "model.safetensors"):
            for place in ("base", *TASKS):
                shutil.copy(base_model(silent) / name, folder / place / name)
    tasks = {task: {"model": str(folder / task)} for task in TASKS}
    return build(parse_recipe({"base": str(folder / "base"), "tasks": tasks}), folder / "ladder")


@contextmanager
def _served(ladder: Ladder) -> Iterator[tuple[Ladder, int]]:
    command = [str(Path(sys.executable).with_name("mergeladder")), "serve", str(ladder.root), "--rung", "1"]
    process = subprocess.Popen([*command, "--port", str(PORT)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        if not any(line.startswith("open ") for line in process.stderr):
            raise SystemExit("the server did not start")
        time.sleep(2)
        yield ladder, process.pid
    finally:
        process.terminate()
        process.wait(60)


def _batches(url: str) -> float:
    """How many batches the server has run."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (line,) = (line for line in lines if line.startswith("mergeladder_batch_size_count"))
    return float(line.split()[1])


def _bare(ladder: Ladder, size: int) -> float:
    """CPU milliseconds a text of one `engine.run` of `size` texts, tokenised before: the least of many."""
    torch.set_num_threads(1)
    engine = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1))
    ids = engine.tokenizer.encode([TEXT], None, max_length=64, truncate=True)[0]
    batch = [Encoded(ids.input_ids, ids.token_type_ids, (TASKS[n % len(TASKS)],)) for n in range(size)]
    times = []
    for _ in range(50):
        start = time.process_time()
        engine.run(batch)
        times.append(time.process_time() - start)
    return min(times) / size * 1000


if __name__ == "__main__":
    main()
