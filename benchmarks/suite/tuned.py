"""What tuning with labelled rows gives, at some rungs of one ladder; finished lines are skipped.

    python benchmarks/suite/tuned.py --experts EXPERTS --data DATA --work FOLDER --out tuned.jsonl
    python benchmarks/suite/tuned.py --base BASE --experts IMAGE_EXPERTS --data NPZ --work FOLDER --out images.jsonl

DATA holds `<task>/<split>.jsonl`, or `<task>.npz` of images (see vision_experts.py), which the engine prepares as each
expert's own image processor says. Every method merges the same groups: those of the product's own recipe. Searches see
the validation rows that `mergeladder tune` would give them; `held_out` decides whether a result is published; `test` is
reported once. A line of the output is one method at one rung, with what its search cost. The ensemble is of all experts
for every task, at the size of all of them.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ensemble import ensemble
from suite_inputs import suite_ladder, suite_rows

from deploy.bench import engine_bench
from merge_builder.evaluation import load_data
from merge_builder.ladder import RungSize, select
from merge_builder.tuning.candidate import UNTUNED, Candidate
from merge_builder.tuning.df_merge import df_candidate
from merge_builder.tuning.evaluator import Evaluator
from merge_builder.tuning.fisher import ROWS, FisherCache
from merge_builder.tuning.fusion import bucket, fusion_candidate
from merge_builder.tuning.journal import open_journal
from merge_builder.tuning.material import open_material
from merge_builder.tuning.plain import PlainMethods
from merge_builder.tuning.report import held_out_score
from merge_builder.tuning.scorer import Outcome, Scorer
from merge_builder.tuning.search import Tools, search
from merge_builder.tuning.settings import Settings, TunerName
from merge_builder.tuning.split import Rows, Split, split_rows
from merge_builder.tuning.trials import Trials

SCALES = (1.0, 1.5, 2.0, 2.5)
METHODS = ("untuned", "average", "task arithmetic, grid", "TIES, grid", "Fisher, static", "DF-Merge", "LFS")
ENSEMBLE = "ensemble"


class Suite:
    """One ladder with all that scores candidates on it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.ladder, recipe = suite_ladder(args.experts, args.base, args.work)
        validation = load_data(suite_rows(args.experts, args.data, args.work / "validation"), self.ladder)
        split = split_rows(validation, args.seed)
        test = load_data(suite_rows(args.experts, args.data, args.work / "test", args.test_rows), self.ladder)
        reported = Split({}, {task: Rows(own.rows, np.array(own.labels)) for task, own in test.items()})
        self.bench = bench = engine_bench(self.ladder)
        self.material = args.stack.enter_context(open_material(recipe, self.ladder))
        searched, tested = (Evaluator(bench, self.material, own) for own in (split, reported))
        self.scorer = Scorer(searched, open_journal(args.work / "search.jsonl", str(args.seed)))
        self.test = Scorer(tested, open_journal(args.work / "test.jsonl", str(args.test_rows)))
        unlabelled = {task: own.rows[: args.fisher_rows] for task, own in split.search.items()}
        self.fisher = FisherCache(args.work / "fisher", self.material, bench.curvature, unlabelled)
        self.plain = PlainMethods(args.work / "merged", self.material)

    def candidates(self, method: str, rung: RungSize) -> list[Candidate]:
        """Those of a grid; the first alone of what needs no search."""
        tasks = self.material.tasks
        ones = dict.fromkeys(tasks, 1.0)
        if method == "untuned":
            return [UNTUNED]
        if method == "average":
            return [df_candidate(tasks, ones, self.fisher, "uniform")]
        if method == "Fisher, static":
            return [df_candidate(tasks, ones, self.fisher, "static")]
        buckets = bucket(self.material, rung, 1)
        fixed = {"name": "task_arithmetic"} if method.startswith("task") else {"name": "ties", "density": 0.2}
        genes = [
            {"method": "lfs", "buckets": {name: fixed | {"scale": scale} for name in buckets.used}} for scale in SCALES
        ]
        return [fusion_candidate(own, buckets, tasks, self.plain) for own in genes]

    def find(self, method: str, rung: RungSize) -> tuple[Candidate, int]:
        """The method's candidate at `rung`, and how many candidates were scored for it."""
        trials = Trials(self.scorer, rung, self.args.rows, 0, {}, lambda _: None)
        tuner: TunerName | None = {"DF-Merge": "df-merge", "LFS": "automerge"}.get(method)  # type: ignore[assignment]
        if tuner is None:
            candidates = self.candidates(method, rung)
            if len(candidates) == 1:
                return candidates[0], 0
            for candidate in candidates:
                trials.score(candidate, self.args.rows)
        else:
            settings = Settings(tuner, (), self.args.rows, self.args.trials, None, self.args.seed)
            search(Tools(settings, self.material, self.fisher, self.plain), rung, trials.score, [])
        found = trials.winner()
        assert found is not None
        return found[0], trials.count

    def measure(self, method: str, rung: RungSize) -> dict[str, Any]:
        """One line of the output."""
        begin, before = time.process_time(), self.fisher.passes
        candidate, scored = self.find(method, rung)
        found = time.process_time()
        decides = method in ("untuned", "DF-Merge", "LFS")
        held_out = held_out_score(self.scorer.score(rung, candidate, part="held-out")) if decides else None
        test = held_out_score(self.test.score(rung, candidate, part="held-out"))
        return {
            "method": method,
            "rung": rung.index,
            "ratio": rung.ratio,
            "parameters": candidate.genes,
            "scored": scored,
            "fisher_passes": self.fisher.passes - before,
            "cpu_minutes": (found - begin) / 60,
            "held_out": None if held_out is None else vars(held_out),
            "test": vars(test),
        }

    def measure_ensemble(self, rung: RungSize) -> dict[str, Any]:
        """The line of the predictions' mean over all experts, where every task has its own: at the first rung."""
        begin, right = time.process_time(), {}
        experts = self.test.score(rung, UNTUNED, part="held-out").right
        for task, own in self.test.evaluator.rows("held-out").items():
            right[task] = ensemble(self.bench, self.ladder, task, own.rows).argmax(axis=1) == own.labels
        shares = {task: float(own.sum() / experts[task].sum()) for task, own in right.items()}
        test = held_out_score(Outcome(right, experts, shares))
        spent = {"scored": 0, "fisher_passes": 0, "cpu_minutes": (time.process_time() - begin) / 60}
        line = {"method": ENSEMBLE, "rung": rung.index, "ratio": rung.ratio, "parameters": {}, "held_out": None}
        return line | spent | {"test": vars(test)}


def main() -> None:
    args = _arguments()
    torch.set_num_threads(1)
    done = set()
    if args.out.exists():
        done = {(line["method"], line["rung"]) for line in map(json.loads, args.out.read_text().splitlines())}
    with ExitStack() as args.stack:
        suite = Suite(args)
        experts = suite.ladder.manifest.rungs[0]
        if ENSEMBLE in args.methods and (ENSEMBLE, experts.index) not in done:
            _keep(args.out, lambda: suite.measure_ensemble(experts))
        for size in args.sizes:
            rung = select(suite.ladder.manifest, size)
            for method in args.methods:
                if method != ENSEMBLE and (method, rung.index) not in done:
                    _keep(args.out, lambda m=method, r=rung: suite.measure(m, r))


def _keep(out: Path, measure: Callable[[], dict[str, Any]]) -> None:
    line = measure()
    with out.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(
        f"{line['ratio']:.2f}x {line['method']:<22} test {line['test']['mean']:.3f}, "
        f"worst {line['test']['worst']:.2f} ({line['cpu_minutes']:.1f} CPU-minutes)",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=Path, required=True, help="folder of one expert a task")
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>/<split>.jsonl, or <task>.npz")
    parser.add_argument("--base", type=Path, help="transformers folder of the base (the demo's base if not given)")
    parser.add_argument("--work", type=Path, required=True, help="folder for the ladder and what is computed")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", nargs="+", default=["1", "2", "1.5"])
    parser.add_argument("--methods", nargs="+", default=(ENSEMBLE, *METHODS))
    parser.add_argument("--rows", type=int, default=96, help="of each task, for a candidate in the search")
    parser.add_argument("--test-rows", type=int, default=200, help="of each task, the first ones")
    parser.add_argument("--fisher-rows", type=int, default=ROWS, help="of each task, for Fisher values")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
