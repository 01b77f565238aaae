"""NeuLig on a suite of text experts: its two modes beside the average and the experts, and the router made of it.

    python benchmarks/suite/neulig.py --experts EXPERTS --ladder LADDER --data DATA --work FOLDER --out neulig.json

DATA holds `<task>/<split>.jsonl`. Networks are trained on validation rows and reported on test rows. Scores are
relative to the experts', with 95 % paired bootstrap intervals; `same` is the share of rows on which merging row by row
answers as the ensemble does. The router's part is what `mergeladder tune --tuner neulig` publishes, asked as a server
asks it.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from neulig_modes import (
    Encoders,
    Floats,
    ensembled,
    examples_of,
    homogeneous,
    load_encoders,
    merged,
    mixed,
    trained,
)
from suite_inputs import suite_rows

from deploy.router_rows import token_reader
from deploy.runner import engine_runner
from merge_builder.evaluation import Row, load_data
from merge_builder.evaluation.bootstrap import RESAMPLES, Interval, interval, paired_ratios
from merge_builder.ladder import Ladder, open_ladder, select
from merge_builder.tuning.neulig import Portland, add_router
from serving.encoding import Text
from serving.engine.tokenize import load_tokenizer
from serving.routing import load_chooser

Rows = Mapping[str, Sequence[Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=Path, required=True)
    parser.add_argument("--ladder", type=Path, required=True, help="that `mergeladder build` has made of the experts")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-rows", type=int, default=200, help="validation rows of each task for the two modes")
    parser.add_argument("--rows", type=int, default=200, help="test rows of each task")
    parser.add_argument("--single-rows", type=int, default=25, help="of these, to be merged for one by one")
    parser.add_argument("--rung", default="2.0", help="at which the router's choices are answered")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ladder = open_ladder(args.ladder)
    test_data = load_data(suite_rows(args.experts, args.data, args.work / "test", args.rows), ladder)
    test = {task: own.rows for task, own in test_data.items()}
    validation = suite_rows(args.experts, args.data, args.work / "validation")
    add_router(ladder, validation, args.work / "routed", args.seed, token_reader)
    report = {"router": _router(open_ladder(args.work / "routed"), test, args.rung)}
    args.out.write_text(json.dumps(report, indent=1))
    seen = {task: own.rows[: args.train_rows] for task, own in load_data(validation, ladder).items()}
    report["modes"] = _modes(load_encoders(args.experts, tuple(test)), seen, test, args.single_rows, args.seed)
    args.out.write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


def _router(ladder: Ladder, test: Rows, rung: str) -> dict[str, Any]:
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


def _calibration(confident: Floats, right: Any, bins: int = 10) -> float:
    """The expected calibration error: how far confidence is from accuracy, over bins of confidence."""
    place = np.minimum((confident * bins).astype(int), bins - 1)
    gaps = [
        (place == one).mean() * abs(right[place == one].mean() - confident[place == one].mean())
        for one in np.unique(place)
    ]
    return float(sum(gaps))


def _modes(encoders: Encoders, seen: Rows, test: Rows, single: int, seed: int) -> list[dict[str, Any]]:
    began = time.process_time()
    training, reported = examples_of(encoders, seen), examples_of(encoders, test)
    print(f"features in {time.process_time() - began:.0f} CPU s", flush=True)
    number = {task: place for place, task in enumerate(encoders.tasks)}
    experts = {task: own.logits[:, number[task]] for task, own in reported.items()}
    alike = {task: np.full((len(own.labels), len(number)), 1 / len(number)) for task, own in reported.items()}
    right = {task: experts[task].argmax(axis=1) == own.labels for task, own in reported.items()}
    lines = []

    def tell(name: str, logits: Mapping[str, Floats], rows: int | None = None, **more: float) -> None:
        found = {t: own.argmax(axis=1)[:rows] == reported[t].labels[:rows] for t, own in logits.items()}
        lines.append({"name": name, **_score(found, {t: own[:rows] for t, own in right.items()}), **more})
        print(json.dumps(lines[-1]), flush=True)

    tell("experts", experts)
    tell("average, merged", merged(encoders, test, [(np.full(len(number), 1 / len(number)), _all(test))]))
    tell("average, ensemble", ensembled(reported, alike))
    for kind in ("supervised", "entropy"):
        began = time.process_time()
        network = trained(encoders, training, kind, seed)
        cpu = time.process_time() - began
        betas = {task: network.betas(own.features) for task, own in reported.items()}
        votes = ensembled(reported, betas)
        most = float(np.mean([own.max(axis=1).mean() for own in betas.values()]))
        tell(f"{kind}, ensemble", votes, cpu_s=cpu, largest_beta=most)
        few = {task: rows[:single] for task, rows in test.items()}
        one_by_one = [(betas[task][place], [(task, place)]) for task, place in _all(few)]
        alone = merged(encoders, few, one_by_one)
        same = [alone[task].argmax(axis=1) == votes[task][:single].argmax(axis=1) for task in few]
        tell(f"{kind}, merged row by row", alone, single, same=float(np.mean(same)))
        tell(f"{kind}, ensemble, the same rows", {task: own[:single] for task, own in votes.items()}, single)
        tell(f"{kind}, merged, batches of one task", merged(encoders, test, list(homogeneous(betas))))
        tell(f"{kind}, merged, mixed batches", merged(encoders, test, list(mixed(betas, seed))))
        tell(f"{kind}, merged, mean beta", merged(encoders, test, [(_mean_betas(network, training), _all(test))]))
    return lines


def _mean_betas(network: Portland, training: Mapping[str, Any]) -> Floats:
    return np.asarray(np.mean([network.betas(own.features).mean(axis=0) for own in training.values()], axis=0))


def _all(rows: Rows) -> list[tuple[str, int]]:
    return [(task, place) for task, own in rows.items() for place in range(len(own))]


def _score(right: Mapping[str, Any], experts: Mapping[str, Any]) -> dict[str, Any]:
    ratios = {task: own.mean() / max(experts[task].mean(), 1 / len(own)) for task, own in right.items()}
    samples = [paired_ratios(own, experts[task], task) for task, own in right.items()]
    worst = min(ratios, key=lambda task: ratios[task])
    return {
        "mean": float(np.mean(list(ratios.values()))),
        "interval": interval(np.mean(samples, axis=0)),
        "worst": float(ratios[worst]),
        "worst_task": worst,
        "rows": len(next(iter(right.values()))),
    }


if __name__ == "__main__":
    main()
