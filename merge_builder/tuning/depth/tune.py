"""Tune the depth: search for a stack of layers, and write its model if it is surely better than the untuned 1x model.

tune_depth(load_recipe(Path("recipe.yaml")), Path("data.yaml"), Path("out"), Settings("depth", ("1",)), engine_bench)
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from threadpoolctl import threadpool_limits

from merge_builder.evaluation import TaskData
from merge_builder.ladder import Ladder
from merge_builder.progress import Progress, silent
from merge_builder.recipe import Recipe
from merge_builder.tuning.bench import Bench
from merge_builder.tuning.candidate import UNTUNED
from merge_builder.tuning.depth.ladder import write_stack
from merge_builder.tuning.depth.search import first_stacks, search_depth
from merge_builder.tuning.depth.sources import open_sources
from merge_builder.tuning.depth.stacks import Stacks
from merge_builder.tuning.evaluator import Evaluator
from merge_builder.tuning.jobs import Setup, Spread
from merge_builder.tuning.journal import Cost, open_journal
from merge_builder.tuning.judge import judge
from merge_builder.tuning.material import open_material
from merge_builder.tuning.report import Report, tuned_entry
from merge_builder.tuning.rounds import expected
from merge_builder.tuning.scorer import OutOfTime, Scorer
from merge_builder.tuning.search import least_rows
from merge_builder.tuning.settings import Settings
from merge_builder.tuning.split import split_rows
from merge_builder.tuning.start import start
from merge_builder.tuning.trials import OnTrial, Trials
from merge_builder.workspace import fingerprint


def tune_depth(
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
    """Search for a stack that all tasks can share, and write it to `out` as a ladder of one rung if it is better.

    It is measured against the last rung of the recipe's own ladder, on rows that the search never sees; where it is not
    surely better nothing is written. All that is known is kept in `working_folder(out)` until the search is over: one
    that was stopped goes on when called again with the same inputs. `spread` is as in `tune`.

    Raises:
        InputError: the recipe or the rows are unfit, the family cannot be restacked, or `out` exists already.
    """
    begun = start(recipe, data, out, progress)
    folder, ladder, rows = begun.folder, begun.ladder, begun.rows
    journal = open_journal(folder / "journal.jsonl", _fingerprint(ladder, rows, settings))
    with open_material(recipe, ladder) as material, open_sources(material) as sources, threadpool_limits(1):
        split = split_rows(rows, settings.seed)
        stacks = Stacks(sources, folder / "depths", make_bench)
        evaluator = Evaluator(make_bench(ladder), material, split, stacks.runner)
        scorer = Scorer(evaluator, journal, _seconds(settings))
        if spread is not None:
            scorer.spread = spread(Setup(recipe, data.resolve(), folder.resolve(), settings))
        count = expected((least_rows(settings), settings.rows), settings.trials, len(first_stacks(sources)))
        trials = Trials(scorer, ladder.manifest.rungs[-1], settings.rows, count, {}, on_trial)
        with suppress(OutOfTime):
            trials.score(UNTUNED, settings.rows)
            search_depth(
                sources,
                lambda candidate, rows: trials.score(candidate, rows).tasks,
                rows=(least_rows(settings), settings.rows),
                trials=settings.trials,
                seed=settings.seed,
                several=settings.objective == "pareto",
                prepare=trials.prepare,
            )
        report, best = judge(scorer, trials, settings.objective)
        if report.published and best is not None and best.stack is not None:
            entry = tuned_entry(report, settings, rows).model_copy(update={"rung": 0})
            write_stack(sources, best.stack, out, [entry])
        held_out = sum(map(len, split.held_out.values()))
    shutil.rmtree(folder)
    return Report(out, settings, (report,), journal.costs.get(0, Cost()), 0, held_out)


def _seconds(settings: Settings) -> float | None:
    return None if settings.minutes is None else 60 * settings.minutes


def _fingerprint(ladder: Ladder, rows: dict[str, TaskData], settings: Settings) -> str:
    return fingerprint(
        {
            "ladder": ladder.manifest.revision,
            "inputs": ladder.manifest.provenance.model_dump(mode="json"),
            "data": {task: own.sha256 for task, own in rows.items()},
            "settings": [settings.tuner, settings.rows, settings.seed, settings.objective],
        }
    )
