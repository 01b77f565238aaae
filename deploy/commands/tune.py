"""`mergeladder tune`: merges made better with labelled rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from deploy.console import console, print_document, say
from deploy.options import AsJson
from merge_builder.errors import InputError

if TYPE_CHECKING:
    from deploy.tuning_workers import Workers
    from merge_builder.tuning import Report, RungReport, Trial


def tune(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE.yaml", help="As for `mergeladder build`; or for neulig a ladder.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The tuned ladder's folder; it must not exist yet.")],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DATA.yaml",
            help="Labelled validation rows of every task, in the format of `evaluate`. No test rows.",
        ),
    ],
    tuner: Annotated[
        Literal["df-merge", "automerge", "depth", "neulig"],
        typer.Option(
            help="df-merge: one scale a task, Fisher-weighted; automerge: a merge method a layer group; depth: a model "
            "of its own at 1x, its layers chosen from the experts; neulig: a router for requests that name no task."
        ),
    ],
    rung: Annotated[
        str, typer.Option(metavar="SIZES", help="Which rungs to tune: size ratios or '#index', with commas between.")
    ] = "2.0",
    trials: Annotated[int, typer.Option(min=1, help="Candidates to try at each rung.")] = 40,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop searching after so long; what was found is then judged.")
    ] = None,
    rows: Annotated[
        int,
        typer.Option(min=9, help="Rows of each task that a candidate is scored on; the best few get twice as many."),
    ] = 96,
    groups: Annotated[int, typer.Option(min=1, help="Layer groups of automerge.")] = 2,
    objective: Annotated[
        Literal["mean", "pareto"],
        typer.Option(help="Of automerge and depth; with pareto the report also has what is best for some tasks."),
    ] = "mean",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same split and the same search.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Try so many candidates at a time, each in a process of its own (Ray).")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The Ray cluster that runs the workers; without it, this machine does."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build a ladder and search for better merged weights at some of its rungs, with labelled rows.

    Example: [bold]mergeladder tune recipe.yaml --data validation.yaml --tuner automerge --rung 1,2 tuned/[/]

    Two rows in five of each task are held out from the search. What it finds is published if it is surely better there.

    Otherwise OUT holds the untuned ladder, and the report says so. Rungs near a tuned one share versions with it.

    OUT is a ladder like any other. Evaluate it on other rows: those of the search have been used up.

    With --tuner depth nothing is shared with other rungs: OUT is a ladder of one rung, written only if it is surely
    better than the untuned 1x; --rung does not matter.

    --tuner neulig trains a router in place of weights, from the texts alone; of the options only --seed matters to it.
    It takes a ladder in place of the recipe, too: OUT is that ladder, its tuned rungs included, with the router.

    Ctrl-C keeps what was found, in OUT.tuning: the same command goes on there.

    The same command with a smaller --trials publishes the best of what is known.

    Needs the extra \\[tune]: pip install 'mergeladder\\[tune]'.
    """
    import torch

    from deploy.commands.tune_router import tune_router

    torch.set_num_threads(1)  # sums come out the same whatever the machine
    if tuner == "neulig":
        tune_router(recipe, out, data, seed, as_json)
        return

    from deploy.bench import engine_bench
    from deploy.progress_bars import progress_bars
    from merge_builder.recipe import load_recipe
    from merge_builder.tuning import Settings, working_folder
    from merge_builder.tuning import tune as tune_rungs
    from merge_builder.tuning.depth.tune import tune_depth

    if recipe.is_dir():
        raise InputError(f"{recipe} is a folder: {tuner} starts from a recipe (a ladder is taken by neulig alone)")
    settings = Settings(tuner, tuple(rung.split(",")), rows, trials, minutes, seed, groups, objective, workers or 1)
    if ray is not None and workers is None:
        raise InputError("--ray says where workers run: say how many with --workers")
    try:
        with progress_bars(console) as progress, _workers(workers, ray) as spread:
            report = (tune_depth if tuner == "depth" else tune_rungs)(
                load_recipe(recipe),
                data,
                out,
                settings,
                engine_bench,
                progress=progress,
                on_trial=_tell_trial,
                spread=spread,
            )
    except KeyboardInterrupt:
        kept = escape(str(working_folder(out)))
        say(f"stopped: what was found is kept in {kept}; run the same command again to go on")
        raise typer.Exit(1) from None
    _tell(report)
    if as_json:
        print_document(report.document)


@contextmanager
def _workers(count: int | None, address: str | None) -> "Iterator[Workers | None]":
    if count is None:
        yield None
        return
    from deploy.tuning_workers import ray_workers

    with ray_workers(count, address, lambda place: say(f"worker {place.process} on {place.node}")) as workers:
        yield workers


def _tell_trial(trial: "Trial") -> None:
    best = "" if trial.best is None else f", best so far {100 * trial.best:.1f}"
    say(
        f"#{trial.rung.index} ({trial.rung.ratio:.2f}x) {trial.number}/{trial.of}: {100 * trial.score:.1f} % of the "
        f"experts' on {trial.rows} rows a task{best}; {trial.seconds_left / 60:.1f} min left"
    )


def _tell(report: "Report") -> None:
    for own in report.rungs:
        say(_line(own))
    spent = [report.experts_cost, *(own.cost for own in report.rungs)]
    say(
        f"{sum(cost.evaluations for cost in spent)} evaluations of {sum(cost.rows for cost in spent)} rows, "
        f"{sum(cost.cpu_seconds for cost in spent) / 60:.1f} CPU-minutes"
    )
    if report.out.exists():
        say(f"next: mergeladder evaluate {escape(quote(str(report.out)))} --data TEST.yaml")
    else:
        say("no model was written: the untuned ladder's 1x is the better one")


def _line(own: "RungReport") -> str:
    name = f"#{own.rung.index} ({own.rung.ratio:.2f}x)"
    untuned = f"untuned {100 * own.untuned.mean:.1f} %"
    found = "" if own.found is None else f", found {100 * own.found.mean:.1f} % of the experts' on held-out rows"
    verdict = "[bold green]tuned[/]" if own.published else "[bold]stays untuned[/]"
    return f"{name} {verdict}: {own.because} ({untuned}{found})"
