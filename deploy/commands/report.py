"""`mergeladder report`: one HTML file that shows what each size keeps."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.console import say


def report(
    ladders: Annotated[list[Path], typer.Argument(metavar="LADDER...", help="One ladder, or several to compare.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The file to write; replaced if it is there.")],
) -> None:
    """Write the accuracy-size curve, what each task keeps, the block map and the sizes as one HTML file.

    Example: [bold]mergeladder report ladder/ report.html[/], or [bold]mergeladder report a/ b/ report.html[/] to
    compare two. The file needs no network. `mergeladder evaluate` adds the scores that it shows.
    """
    from rich.markup import escape

    from merge_builder.errors import InputError
    from merge_builder.ladder import open_ladder
    from merge_builder.report import write_report

    if out.is_dir():
        raise InputError(f"{out} is a folder, and the last name is the file to write: add one, such as report.html")
    write_report([open_ladder(ladder) for ladder in ladders], out)
    say(f"[bold green]wrote[/] {escape(str(out))}")
