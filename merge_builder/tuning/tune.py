"""Tune a ladder with labelled rows: search at some rungs, publish what beats the untuned ladder on rows never searched.

tune(load_recipe(Path("recipe.yaml")), Path("data.yaml"), Path("tuned"), Settings("df-merge", ("2.0",)), engine_bench)
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from merge_builder.errors import InputError
from merge_builder.evaluation import TaskData
from merge_builder.ladder import Ladder, RungSize, select
from merge_builder.progress import Progress, silent
from merge_builder.recipe import Recipe
from merge_builder.tuning.bench import Bench
from merge_builder.tuning.candidate import UNTUNED, Candidate, beside
from merge_builder.tuning.evaluator import Evaluator
from merge_builder.tuning.jobs import Setup, Spread
from merge_builder.tuning.journal import Cost, open_journal
from merge_builder.tuning.judge import judge
from merge_builder.tuning.material import Place, open_material
from merge_builder.tuning.publish import publish
from merge_builder.tuning.report import Report, RungReport, tuned_entry
from merge_builder.tuning.scorer import OutOfTime, Scorer
from merge_builder.tuning.search import Tools, expected_scores, open_tools, search
from merge_builder.tuning.settings import Settings
from merge_builder.tuning.split import split_rows
from merge_builder.tuning.start import start
from merge_builder.tuning.trials import OnTrial, Trials
from merge_builder.workspace import fingerprint

# The versions that are made anew, each by the candidate that its rung has settled on.
Settled = dict[Place, Candidate]


@dataclass(frozen=True)
class _Rungs:
    """What is known after some rungs: their reports, and the versions settled."""

    reports: list[RungReport]
    settled: Settled


def tune(
    recipe: Recipe,
    data: Path,
    out: Path,
    settings: Settings,
    make_bench: Callable[[Ladder], Bench],
    *,
    progress: Progress = silent,
    on_trial: OnTrial = lambda _: None,
    spread: Callable[[Setup], Spread] | None = None,
) -> Report:
    """Search at every rung of `settings`, the largest first, and write the ladder `out`.

    A version that one rung has settled stays so at the next, whose search begins with what the last one found. A rung's
    result is published if its mean on the held-out rows is above the untuned ladder's at that rung, and surely so (see
    `judge`); else its own versions stay untuned. All that is known is kept in `working_folder(out)` until `out` is
    there: a search that was stopped goes on when called again with the same inputs. `spread` makes what computes
    evaluations elsewhere, several at a time; without it they are done here.

    Raises:
        InputError: the recipe, the rows or a rung is unfit, or `out` exists already.
    """
    begun = start(recipe, data, out, progress)
    folder, ladder, rows = begun.folder, begun.ladder, begun.rows
    sizes = sorted({select(ladder.manifest, name) for name in settings.rungs}, key=lambda size: size.index)
    split = split_rows(rows, settings.seed)
    journal = open_journal(folder / "journal.jsonl", _fingerprint(ladder, rows, settings, sizes))
    bench = make_bench(ladder)
    with open_material(recipe, ladder) as material, threadpool_limits(1):
        scorer = Scorer(Evaluator(bench, material, split), journal)
        if spread is not None:
            scorer.spread = spread(Setup(recipe, data.resolve(), folder.resolve(), settings))
        tools = open_tools(settings, material, bench, split, folder)
        if idle := [size.index for size in sizes if not material.places(size)]:
            raise InputError(f"rung #{idle[0]} merges nothing that could be tuned: choose a smaller one")
        found = _Rungs([], {})
        for number, size in enumerate(sizes, 1):
            scorer.budget = None if settings.minutes is None else 60 * settings.minutes * number / len(sizes)
            found = _tune_rung(tools, scorer, size, found, on_trial)
        entries = [tuned_entry(own, settings, rows) for own in found.reports if own.published]
        publish(material, out, found.settled, entries)
    experts = journal.costs.get(0, Cost())
    held_out = sum(map(len, split.held_out.values()))
    report = Report(out, settings, tuple(found.reports), experts, tools.fisher.passes, held_out)
    shutil.rmtree(folder)
    return report


def _tune_rung(tools: Tools, scorer: Scorer, size: RungSize, before: _Rungs, on_trial: OnTrial) -> _Rungs:
    places = tools.material.places(size)
    fixed = {(p.version.block, p.group): before.settled[p] for p in places if p in before.settled}
    trials = Trials(scorer, size, tools.settings.rows, expected_scores(tools.settings), fixed, on_trial)
    with suppress(OutOfTime):
        trials.score(UNTUNED, tools.settings.rows)
        warm = [own.genes for own in before.reports if own.genes is not None]
        search(tools, size, trials.score, warm, trials.prepare)
    report, best = judge(scorer, trials, tools.settings.objective)
    settled = dict(before.settled)
    if report.published and best is not None:
        settled |= {p: best for p in places if p not in settled and best.at(p.version.block, p.group)}
    if fixed and not report.published:
        shared = scorer.score(size, beside(UNTUNED, fixed), part="held-out")
        if shared.mean < report.untuned.mean:
            return _withdraw(before, report)
    return _Rungs([*before.reports, report], settled)


def _withdraw(before: _Rungs, report: RungReport) -> _Rungs:
    """Publish nothing: what larger rungs settled would leave this one below the untuned ladder."""
    because = f"versions shared with rung #{report.rung.index} would put that one below the untuned ladder"
    reports = [replace(own, published=False, because=because) if own.published else own for own in before.reports]
    return _Rungs([*reports, report], {})


def _fingerprint(ladder: Ladder, rows: Mapping[str, TaskData], settings: Settings, sizes: list[RungSize]) -> str:
    return fingerprint(
        {
            "ladder": ladder.manifest.revision,
            "inputs": ladder.manifest.provenance.model_dump(mode="json"),
            "data": {task: own.sha256 for task, own in rows.items()},
            "settings": [settings.tuner, settings.rows, settings.seed, settings.groups, settings.objective],
            "rungs": [size.index for size in sizes],
        }
    )
