"""`mergeladder tune --tuner neulig`: a router for requests that name no task."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from rich.markup import escape

from deploy.console import console, print_document, say

if TYPE_CHECKING:
    from merge_builder.tuning.neulig import RouterReport


def tune_router(source: Path, out: Path, data: Path, seed: int, as_json: bool) -> None:
    """Train a router, tell what it is worth, and write the ladder with it where it is worth it.

    `source` is a recipe, or the folder of a ladder, which stays as it is.
    """
    from deploy.progress_bars import progress_bars
    from deploy.router_rows import token_reader
    from merge_builder.ladder import open_ladder
    from merge_builder.recipe import load_recipe
    from merge_builder.tuning.neulig import add_router, train_router

    if source.is_dir():
        report = add_router(open_ladder(source), data, out, seed, token_reader)
    else:
        with progress_bars(console) as progress:
            report = train_router(load_recipe(source), data, out, seed, token_reader, progress=progress)
    _tell(report)
    if as_json:
        print_document(report.document)


def _tell(report: "RouterReport") -> None:
    worst = min(report.tasks, key=lambda task: report.tasks[task])
    low, high = report.interval
    verdict = "[bold green]router published[/]" if report.published else "[bold]no router[/]"
    say(
        f"{verdict}: {report.because} ({report.accuracy:.1%} right, 95 % interval {low:.1%} to {high:.1%}, chance "
        f"{report.chance:.1%}; least of {worst}, {report.tasks[worst]:.1%}; {report.held_out_rows} texts)"
    )
    if report.published:
        say(f'next: mergeladder serve {escape(quote(str(report.out)))}, and ask with "tasks": "auto"')
