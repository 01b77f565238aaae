"""`mergeladder inspect`: what a ladder holds, and which rung a budget or a goal chooses."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from deploy.console import console, print_document, say
from deploy.options import AsJson, Budget, LadderFolder

if TYPE_CHECKING:
    from merge_builder.ladder import Ladder, RungSize


def inspect(
    ladder: LadderFolder,
    budget: Budget = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE", help="A goal such as 0.95 of the experts' own score: the smallest evaluated rung with it."
        ),
    ] = None,
    worst: Annotated[
        bool, typer.Option("--worst", help="The goal holds for the worst task, not for the mean over the tasks.")
    ] = False,
    blocks: Annotated[bool, typer.Option("--blocks", help="Show into which blocks the model is parted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a ladder: its tasks and the size of its rungs. --budget names the rung that a server would choose,
    --min-score the smallest rung whose evaluated score reaches a goal. --blocks shows the blocks that are merged.

    Example: [bold]mergeladder inspect ladder/ --budget 300MiB[/]
    """
    from merge_builder.describe import describe
    from merge_builder.ladder import open_ladder

    opened = open_ladder(ladder)
    chosen = _choose(opened, budget, min_score, worst)
    if as_json:
        print_document(describe(opened, chosen))
    else:
        _tell(opened, chosen, blocks)


def _choose(ladder: "Ladder", budget: str | None, min_score: float | None, worst: bool) -> "RungSize | None":
    from merge_builder.errors import InputError
    from merge_builder.ladder import choose, parse_bytes

    if budget is not None and min_score is not None:
        raise InputError("--budget and --min-score each choose a rung: give one of them")
    if worst and min_score is None:
        raise InputError("--worst says how --min-score is meant: give both, such as --min-score 0.95 --worst")
    if budget is not None:
        return choose(ladder.manifest, parse_bytes(budget))
    return None if min_score is None else _reaching(ladder, min_score, worst)


def _reaching(ladder: "Ladder", min_score: float, worst: bool) -> "RungSize":
    from merge_builder.evaluation import smallest_reaching

    found = smallest_reaching(ladder.manifest, min_score, worst=worst)
    say(
        f"at rung #{found.size.index} the tasks keep {found.mean:.1%} of the experts' accuracy on average, "
        f"and {found.worst_task} keeps the least, {found.worst.normalised:.1%}"
    )
    unjudged = [task.name for task in ladder.manifest.tasks if task.name not in found.tasks]
    if unjudged:
        say(f"[yellow]note:[/] no scores for {', '.join(unjudged)}: the goal is judged by the other tasks")
    return found.size


def _tell(ladder: "Ladder", chosen: "RungSize | None", blocks: bool) -> None:
    from deploy.picture import block_table, rung_picture, task_table
    from merge_builder.ladder import format_bytes

    manifest = ladder.manifest
    say(
        f"[bold]{escape(ladder.name)}[/] (revision {manifest.revision}): {len(manifest.tasks)} tasks of one "
        f"{manifest.base.model_type}, {len(manifest.blocks)} blocks, merged by {manifest.method.name}"
    )
    console.print(task_table(manifest))
    if blocks:
        console.print(block_table(manifest))
    console.print(rung_picture(manifest, chosen))
    if (router := manifest.router) is not None:
        say(
            f'a router chooses the task of requests with "tasks": "auto": {router.accuracy:.1%} right on held-out rows '
            f"({format_bytes(router.bytes)})"
        )
    if chosen is not None:
        say(f"chosen: rung #{chosen.index} ({chosen.ratio:.2f}x, {format_bytes(chosen.bytes)})")
