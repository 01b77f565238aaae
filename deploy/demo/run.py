"""The demo from end to end: real experts, a ladder, its accuracy by size, a server within a budget, answers."""

import hashlib
import math
import shutil
import socket
import time
from collections.abc import Mapping
from typing import Any

import httpx

from deploy.console import console, say
from deploy.demo.assets import DemoAssets, prepare
from deploy.demo.load import mixed_load
from deploy.demo.tell import answer_lines, load_line, size_accuracy_table
from deploy.local import Server, running_server
from deploy.progress_bars import progress_bars
from deploy.runner import engine_runner
from deploy.sizing import Sizing
from merge_builder.build import build
from merge_builder.errors import InputError, MergeLadderError
from merge_builder.evaluation import TaskData, evaluate, load_data, rungs_to_evaluate, summarise
from merge_builder.ladder import Ladder, open_ladder, select
from merge_builder.ladder.store import MANIFEST
from merge_builder.methods import find_method
from merge_builder.recipe import load_recipe

SIZES = ("1", "1.5", "2")  # and the experts, which every score is told relative to
CLIENTS = 16
LOAD_SECONDS = 5.0


def run_demo(*, fast: bool) -> None:
    """Run the demo and tell people what happens.

    Raises:
        MergeLadderError: a step failed; what was done is kept for the next run.
    """
    started = time.monotonic()
    say("[bold]1/4[/] experts: one small BERT, fine-tuned for each task")
    with progress_bars(console) as progress:
        assets = prepare(progress, fast=fast)
    say(f"    {len(assets.experts)} experts: {', '.join(assets.experts)}")
    say("[bold]2/4[/] ladder: every size between one shared model and all experts")
    ladder = _built(assets)
    say(f"    {len(ladder.manifest.rungs)} rungs in {ladder.root}")
    say("[bold]3/4[/] accuracy by size, on rows that no expert was trained on")
    data = _evaluated(ladder, assets)
    say("[bold]4/4[/] server: the largest rung within a memory budget")
    budget = _budget(ladder, "1.5" if fast else "2")
    with running_server(ladder.root, Sizing(budget=budget), host="127.0.0.1", port=_free_port()) as server:
        say(f"    {server.url}: {server.reason}")
        _ask(server, data)
    say(f"[bold green]done[/] in {time.monotonic() - started:.0f} s; to serve it yourself:")
    say(f"    mergeladder serve {ladder.root} --budget {budget}")


def _built(assets: DemoAssets) -> Ladder:
    """The ladder of the assets' recipe, from the folder where an earlier run left it or built now.

    The folder is named after the recipe and its method's formula: another version of the program may merge otherwise.
    """
    recipe = load_recipe(assets.recipe)
    made_of = assets.recipe.read_bytes() + find_method(recipe.method_use.name).formula.encode()
    folder = assets.recipe.parent / f"ladder-{hashlib.sha256(made_of).hexdigest()[:12]}"
    if (folder / MANIFEST).exists():
        try:
            return open_ladder(folder)
        except InputError:  # another version of the program made it
            shutil.rmtree(folder)
    with progress_bars(console) as progress:
        return build(recipe, folder, progress=progress)


def _evaluated(ladder: Ladder, assets: DemoAssets) -> Mapping[str, TaskData]:
    data = load_data(assets.data, ladder)
    rungs = rungs_to_evaluate(ladder.manifest, SIZES)
    with progress_bars(console) as progress:
        scores = evaluate(ladder, rungs, data, engine_runner(ladder), progress)
    console.print(size_accuracy_table(summarise(ladder.manifest, scores)))
    return data


def _budget(ladder: Ladder, size: str) -> str:
    """A round budget that just holds the rung of that size."""
    return f"{math.ceil(select(ladder.manifest, size).bytes / 2**20)}MiB"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _ask(server: Server, data: Mapping[str, TaskData]) -> None:
    """One task, then all tasks of one text, then many clients at once."""
    first, *_ = data
    text = data[first].rows[0].text
    path = f"/v1/tasks/{first}/predict"
    say(f"    POST {path}")
    say("\n".join(answer_lines(text, {first: _post(server, path, {"inputs": [text]})})))
    say("    POST /v1/predict, all tasks at once")
    answer = _post(server, "/v1/predict", {"inputs": [text], "tasks": "all"})
    say("\n".join(answer_lines(text, answer["results"])))
    requests = [
        (f"/v1/tasks/{task}/predict", {"inputs": [{"text": row.text, "text_pair": row.text_pair}]})
        for rows in zip(*(data[task].rows for task in data), strict=False)
        for task, row in zip(data, rows, strict=True)
    ]
    with progress_bars(console) as progress:
        load = mixed_load(server.url, requests, LOAD_SECONDS, CLIENTS, progress)
    say(f"    {load_line(load, CLIENTS)}")
    if load.failed:
        raise MergeLadderError(f"{load.failed} of the demo's requests failed")


def _post(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.post(server.url + path, json=body, timeout=60).raise_for_status().json()
    return answer
