"""One ladder of a suite with all that scores candidates on it, and what each way to find one gives."""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from ensemble import ensemble
from suite_inputs import suite_ladder, suite_rows

from deploy.bench import engine_bench
from merge_builder.evaluation import load_data
from merge_builder.ladder import RungSize
from merge_builder.tuning.candidate import UNTUNED, Candidate
from merge_builder.tuning.depth.search import search_depth
from merge_builder.tuning.depth.sources import open_sources
from merge_builder.tuning.depth.stacks import Stacks
from merge_builder.tuning.df_merge import df_candidate
from merge_builder.tuning.evaluator import Evaluator
from merge_builder.tuning.fisher import FisherCache
from merge_builder.tuning.fusion import bucket, fusion_candidate
from merge_builder.tuning.journal import open_journal
from merge_builder.tuning.material import open_material
from merge_builder.tuning.plain import PlainMethods
from merge_builder.tuning.report import held_out_score
from merge_builder.tuning.scorer import Outcome, Scorer
from merge_builder.tuning.search import Tools, least_rows, search
from merge_builder.tuning.settings import Settings, TunerName
from merge_builder.tuning.split import Rows, Split, split_rows
from merge_builder.tuning.trials import Trials

SCALES = (1.0, 1.5, 2.0, 2.5)
TUNERS: Mapping[str, TunerName] = {"DF-Merge": "df-merge", "LFS": "automerge", "DIS": "depth"}
METHODS = ("untuned", "average", "task arithmetic, grid", "TIES, grid", "Fisher, static", *TUNERS)
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
        self.sources = args.stack.enter_context(open_sources(self.material))
        stacked = Stacks(self.sources, args.work / "depths", engine_bench).runner
        searched, tested = (Evaluator(bench, self.material, own, stacked) for own in (split, reported))
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
        tuner = TUNERS.get(method)
        if tuner is None:
            candidates = self.candidates(method, rung)
            if len(candidates) == 1:
                return candidates[0], 0
            for candidate in candidates:
                trials.score(candidate, self.args.rows)
        else:
            self._search(Settings(tuner, (), self.args.rows, self.args.trials, None, self.args.seed), trials)
        found = trials.winner()
        assert found is not None
        return found[0], trials.count

    def _search(self, settings: Settings, trials: Trials) -> None:
        if settings.tuner != "depth":
            search(Tools(settings, self.material, self.fisher, self.plain), trials.rung, trials.score, [])
            return
        search_depth(
            self.sources,
            lambda candidate, rows: trials.score(candidate, rows).tasks,
            rows=(least_rows(settings), settings.rows),
            trials=settings.trials,
            seed=settings.seed,
        )

    def measure(self, method: str, rung: RungSize) -> dict[str, Any]:
        """One line of the output."""
        begin, before = time.process_time(), self.fisher.passes
        candidate, scored = self.find(method, rung)
        found = time.process_time()
        decides = method == "untuned" or method in TUNERS
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
