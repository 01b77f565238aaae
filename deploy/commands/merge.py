"""`mergeladder merge`: all experts into one plain checkpoint, without a ladder."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from deploy.console import console, print_document, say
from deploy.options import AsJson


def merge(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="As for build.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The checkpoint's folder; must not hold one yet.")],
    as_json: AsJson = False,
) -> None:
    """Write the 1x model alone: the encoder that all tasks would share, as a checkpoint of the base's own class.

    Example: [bold]mergeladder merge recipe.yaml merged/[/]
    """
    from deploy.progress_bars import progress_bars
    from merge_builder.merge import merge as merge_experts
    from merge_builder.recipe import load_recipe

    loaded = load_recipe(recipe)
    with progress_bars(console) as progress:
        merge_experts(loaded, out, progress=progress)
    if as_json:
        print_document({"path": str(out), "tasks": list(loaded.tasks), "method": loaded.method_use.model_dump()})
    say(f"[bold green]merged[/] {len(loaded.tasks)} experts into {escape(str(out))}")
