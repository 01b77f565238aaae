"""`mergeladder export`: one task of one rung as a plain transformers folder."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from deploy.console import print_document, say
from deploy.options import AsJson, LadderFolder


def export(
    ladder: LadderFolder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The checkpoint's folder; must not hold one yet.")],
    task: Annotated[str, typer.Option(help="The task whose model is wanted.")],
    rung: Annotated[
        str, typer.Option(help="A size ratio (the largest rung not above it), such as 2.0, or an index, such as '#37'.")
    ],
    as_json: AsJson = False,
) -> None:
    """Write one task's model at one rung as a checkpoint that transformers loads with from_pretrained.

    Example: [bold]mergeladder export ladder/ --task sst2 --rung 2.0 sst2-2x/[/]
    """
    from merge_builder.export import export as export_checkpoint
    from merge_builder.ladder import open_ladder, select

    opened = open_ladder(ladder)
    chosen = select(opened.manifest, rung)
    export_checkpoint(opened, task, chosen, out)
    if as_json:
        print_document({"path": str(out), "task": task, "rung": chosen.model_dump(mode="json")})
    say(f"[bold green]wrote[/] {task} at rung #{chosen.index} ({chosen.ratio:.2f}x) to {escape(str(out))}")
