"""Accuracy against size for many recipes over one suite of experts; finished recipes are skipped.

    python benchmarks/suite/curve.py --experts EXPERTS --data DATA --configs configs.yaml --out curve.jsonl

`configs.yaml` maps a name to the recipe's keys: `iso-ward: {method: {name: iso, scale: 1.5}, linkage: ward}`.
A line of the output is one recipe: for each size the mean over the tasks, and the worst, of accuracy relative to the
experts; and `passes`, the work of one text or image that is asked for every task, in forward passes of one model. With
`--side`, DATA holds `<task>.npz` of images (see vision_experts.py), which transformers' own forward answers.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from passes import passes_of
from vision_runner import image_data, image_runner

from deploy.demo.base import base_model
from deploy.runner import engine_runner
from merge_builder.build import build
from merge_builder.evaluation import Runner, TaskData, evaluate, load_data
from merge_builder.evaluation.summary import summarise
from merge_builder.ladder import Ladder, select
from merge_builder.progress import silent
from merge_builder.recipe import load_recipe


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    configs: dict[str, dict[str, Any]] = yaml.safe_load(args.configs.read_text())
    done = {json.loads(line)["name"] for line in args.out.read_text().splitlines()} if args.out.exists() else set()
    with tempfile.TemporaryDirectory() as folder:
        for name, config in configs.items():
            if name not in done:
                record = {"name": name, "split": args.split, "config": config} | _measure(args, Path(folder), config)
                with args.out.open("a") as file:
                    file.write(json.dumps(record) + "\n")
                means = " ".join(f"{rung['ratio']:.2f}x {rung['mean']:.3f}" for rung in record["rungs"])
                print(f"{name:<28} {means}  ({record['seconds']:.0f} s)", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=Path, required=True, help="folder of one expert a task")
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>/<split>.jsonl")
    parser.add_argument("--configs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="transformers folder of the base (the demo's base if not given)")
    parser.add_argument("--split", default="validation", help="validation chooses, test reports")
    parser.add_argument("--side", type=int, help="of images: pixels a side that they are brought to")
    parser.add_argument("--rows", type=int, default=250, help="of each task, the first ones")
    parser.add_argument("--sizes", nargs="+", default=["1", "1.25", "1.5", "2", "3", "4"])
    parser.add_argument("--tasks", nargs="+", help="all tasks that have an expert, if not given")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _tasks(args: argparse.Namespace) -> list[str]:
    return args.tasks or sorted(path.parent.name for path in args.experts.glob("*/config.json"))


def _data_file(args: argparse.Namespace, folder: Path) -> Path:
    for task in _tasks(args):
        lines = (args.data / task / f"{args.split}.jsonl").read_text(encoding="utf-8").splitlines()
        (folder / f"{task}.jsonl").write_text("\n".join(lines[: args.rows]), encoding="utf-8")
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump({"tasks": {task: f"{task}.jsonl" for task in _tasks(args)}}))
    return path


def _data_and_runner(args: argparse.Namespace, folder: Path, ladder: Ladder) -> tuple[dict[str, TaskData], Runner]:
    if args.side is None:
        return load_data(_data_file(args, folder), ladder), engine_runner(ladder)
    data = image_data(args.data, _tasks(args), args.split, args.rows)
    return data, image_runner(ladder, args.data, args.split, args.side)


def _measure(args: argparse.Namespace, folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    start, out = time.monotonic(), folder / "ladder"
    base = args.base or base_model(silent)
    experts = {task: {"model": str((args.experts / task).resolve())} for task in _tasks(args)}
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"base": str(base.resolve()), "tasks": experts} | config))
    ladder = build(load_recipe(recipe), out, threads=args.threads)
    smallest = min(rung.ratio for rung in ladder.manifest.rungs)  # masked methods start above 1x
    sizes = [size for size in args.sizes if float(size) >= smallest] + [str(smallest)]
    rungs = [ladder.manifest.rungs[0], *(select(ladder.manifest, size) for size in sizes)]
    scores = evaluate(ladder, rungs, *_data_and_runner(args, folder, ladder))
    passes = passes_of(ladder, rungs)
    shutil.rmtree(out)
    rows = [
        {
            "ratio": summary.size.ratio,
            "passes": passes[summary.size.index],
            "mean": summary.mean,
            "interval": summary.mean_interval,
            "worst": summary.worst.normalised,
            "worst_task": summary.worst_task,
            "tasks": {task: entry.normalised for task, entry in summary.tasks.items()},
        }
        for summary in summarise(ladder.manifest, scores)
    ]
    return {"rungs": rows, "seconds": time.monotonic() - start}


if __name__ == "__main__":
    main()
