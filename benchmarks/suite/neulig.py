"""NeuLig's two modes on a suite of experts, of texts or images, beside the average and the experts.

    python benchmarks/suite/neulig.py --experts EXPERTS --ladder LADDER --data DATA --work FOLDER --out neulig.json

DATA holds `<task>/<split>.jsonl`, or `<task>.npz` of images (see vision_experts.py). Networks are trained on validation
rows and reported on test rows. Scores are relative to the experts', with 95 % paired bootstrap intervals; `same` is the
share of rows on which merging row by row answers as the ensemble does.
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

from merge_builder.evaluation import Row, load_data
from merge_builder.evaluation.bootstrap import interval, paired_ratios
from merge_builder.ladder import open_ladder
from merge_builder.tuning.neulig import Portland

Rows = Mapping[str, Sequence[Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=Path, required=True)
    parser.add_argument("--ladder", type=Path, required=True, help="that `mergeladder build` has made of the experts")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-rows", type=int, default=200, help="validation rows of each task")
    parser.add_argument("--rows", type=int, default=200, help="test rows of each task")
    parser.add_argument("--single-rows", type=int, default=25, help="of these, to be merged for one by one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ladder, seen, test = open_ladder(args.ladder), {}, {}
    for split, rows, count in (("validation", seen, args.train_rows), ("test", test, args.rows)):
        data = load_data(suite_rows(args.experts, args.data, args.work / split, count), ladder)
        rows.update({task: own.rows for task, own in data.items()})
    began = time.process_time()
    lines = _modes(load_encoders(args.experts, tuple(test)), seen, test, args.single_rows, args.seed)
    report = {"modes": lines, "cpu_minutes": (time.process_time() - began) / 60}
    args.out.write_text(json.dumps(report, indent=1))


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
