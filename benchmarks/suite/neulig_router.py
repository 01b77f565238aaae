"""The router that `mergeladder tune --tuner neulig` publishes, asked about a suite's test rows as a server asks it.

    python benchmarks/suite/neulig_router.py --experts EXPERTS --ladder LADDER --data DATA --work WORK --out router.json

DATA holds `<task>/<split>.jsonl`. It is trained on validation rows and reported on test rows.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from suite_inputs import suite_rows

from deploy.router_rows import token_reader
from deploy.runner import engine_runner
from merge_builder.evaluation import Row, load_data
from merge_builder.evaluation.bootstrap import RESAMPLES, Interval, interval
from merge_builder.ladder import Ladder, open_ladder, select
from merge_builder.tuning.neulig import add_router
from serving.engine.tokenize import load_tokenizer
from serving.inputs import Text
from serving.routing import load_chooser


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=Path, required=True)
    parser.add_argument("--ladder", type=Path, required=True, help="that `mergeladder build` has made of the experts")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=200, help="test rows of each task")
    parser.add_argument("--rung", default="2.0", help="at which the router's choices are answered")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    ladder = open_ladder(args.ladder)
    test = load_data(suite_rows(args.experts, args.data, args.work / "test", args.rows), ladder)
    validation = suite_rows(args.experts, args.data, args.work / "validation")
    add_router(ladder, validation, args.work / "routed", args.seed, token_reader)
    rows = {task: own.rows for task, own in test.items()}
    args.out.write_text(json.dumps(_router(open_ladder(args.work / "routed"), rows, args.rung), indent=1))
    print(args.out.read_text())


def _router(ladder: Ladder, test: Mapping[str, Sequence[Row]], rung: str) -> dict[str, Any]:
    """How often the router finds a row's own task, what its confidence is worth, and what it costs."""
    chooser = load_chooser(ladder, load_tokenizer(ladder.base_dir))
    assert chooser is not None, "its router beat chance"
    run, size = engine_runner(ladder), select(ladder.manifest, rung)
    tasks, sure, right, answered, both, labels = {}, [], [], [], [], []
    began, count = time.process_time(), 0
    routes = {task: [chooser.choose([Text(row.text, row.text_pair)])[0] for row in rows] for task, rows in test.items()}
    cpu = time.process_time() - began
    for task, rows in test.items():
        own = [route.tasks[0] == task for route in routes[task]]
        tasks[task] = float(np.mean(own))
        right += own
        sure += [route.confidences[route.tasks[0]] for route in routes[task]]
        answered += [task in route.tasks for route in routes[task]]
        both += [len(route.tasks) == 2 for route in routes[task]]
        names = next(t.labels for t in ladder.manifest.tasks if t.name == task)
        found = run(size, task, rows).argmax(axis=1)
        labels += [names[guess] == row.label for guess, row in zip(found, rows, strict=True)]
        count += len(rows)
    confident, hit, told, named = np.array(sure), np.array(right), np.array(answered), np.array(labels)
    return {
        "texts": count,
        "tasks": tasks,
        "mean": float(np.mean(list(tasks.values()))),
        "interval": _interval(tasks, {task: len(rows) for task, rows in test.items()}),
        "sure_share": float(1 - np.mean(both)),
        "right_where_sure": float(hit[~np.array(both)].mean()),
        "own_task_among_the_answers": float(told.mean()),
        "calibration_error": _calibration(confident, hit),
        "accuracy_named": float(named.mean()),
        "accuracy_own_task_first": float((named & hit).mean()),
        "accuracy_own_task_among": float((named & told).mean()),
        "rung": size.index,
        "cpu_ms_a_text": 1000 * cpu / count,
        "bytes": ladder.manifest.router.bytes if ladder.manifest.router else 0,
    }


def _interval(shares: Mapping[str, float], rows: Mapping[str, int]) -> Interval:
    """Of the mean over the tasks of shares of their rows."""
    draw = np.random.default_rng(0)
    drawn = [draw.binomial(rows[task], share, RESAMPLES) / rows[task] for task, share in shares.items()]
    return interval(np.mean(drawn, axis=0))


def _calibration(confident: NDArray[np.float64], right: Any, bins: int = 10) -> float:
    """The expected calibration error: how far confidence is from accuracy, over bins of confidence."""
    place = np.minimum((confident * bins).astype(int), bins - 1)
    gaps = [
        (place == one).mean() * abs(right[place == one].mean() - confident[place == one].mean())
        for one in np.unique(place)
    ]
    return float(sum(gaps))


if __name__ == "__main__":
    main()
