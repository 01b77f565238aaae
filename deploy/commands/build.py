"""`mergeladder build`: experts in, a ladder out."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from deploy.console import console, print_document, say
from deploy.options import AsJson

if TYPE_CHECKING:
    from merge_builder.ladder import Ladder
    from merge_builder.plan import BuildPlan


def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="Names the base, the tasks and the method.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The ladder's folder; made if it is not there.")],
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to read and merge with; all cores if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be read and written; write nothing.")] = (
        False
    ),
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="Merge NaN and infinite weights instead of refusing them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build a ladder from a recipe. The same input gives the same bytes; an interrupted build goes on when run again.

    Example: [bold]mergeladder build recipe.yaml ladder/[/], where recipe.yaml is

    \b
      base: models/base
      tasks:
        sst2: {model: models/sst2}
        mnli: {model: models/mnli}
      method: {name: task_arithmetic, scale: 1.0}
    """
    from deploy.progress_bars import progress_bars
    from merge_builder.build import build as build_ladder
    from merge_builder.describe import describe
    from merge_builder.plan import plan as plan_build
    from merge_builder.recipe import load_recipe

    loaded = load_recipe(recipe)
    if dry_run:
        plan = plan_build(loaded, threads)
        if as_json:
            print_document(plan.model_dump(mode="json"))
        else:
            _tell_plan(plan)
        return
    with progress_bars(console) as progress:
        ladder = build_ladder(loaded, out, threads=threads, allow_nonfinite=allow_nonfinite, progress=progress)
    if as_json:
        print_document(describe(ladder))
    else:
        _tell_built(ladder)


def _tell_plan(plan: "BuildPlan") -> None:
    from merge_builder.ladder import format_bytes

    say(f"would build [bold]{plan.rungs}[/] rungs of {len(plan.tasks)} tasks over {plan.blocks} blocks")
    for label, count in (("read", plan.bytes_read), ("write", plan.bytes_written), ("hold", plan.peak_memory)):
        ending = " of memory at most" if label == "hold" else ""
        say(f"  {label:<6}{format_bytes(count):>12}{ending}")


def _tell_built(ladder: "Ladder") -> None:
    from merge_builder.ladder import format_bytes

    rungs, root = ladder.manifest.rungs, escape(str(ladder.root))
    say(
        f"[bold green]built[/] {root}: {len(rungs)} rungs from {rungs[-1].ratio:.2f}x "
        f"({format_bytes(rungs[-1].bytes)}) to {rungs[0].ratio:.2f}x ({format_bytes(rungs[0].bytes)})"
    )
    say(f"next: mergeladder inspect {escape(quote(str(ladder.root)))}")
