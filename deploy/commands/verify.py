"""`mergeladder verify`: every hash, every pointer."""

from rich.markup import escape

from deploy.console import console, print_document, say
from deploy.options import AsJson, LadderFolder


def verify(ladder: LadderFolder, as_json: AsJson = False) -> None:
    """Check every stored file of a ladder against its hash, and every rung's pointers. Exit code 1 if one is wrong.

    Example: [bold]mergeladder verify ladder/[/]
    """
    import typer

    from deploy.progress_bars import progress_bars
    from merge_builder.ladder import open_ladder
    from merge_builder.verify import verify as find_problems

    opened = open_ladder(ladder)
    with progress_bars(console) as progress:
        problems = find_problems(opened, progress)
    if as_json:
        print_document({"ok": not problems, "problems": problems})
    for problem in problems:
        say(f"[bold red]problem:[/] {escape(problem)}")
    if problems:
        raise typer.Exit(1)
    say(f"[bold green]good:[/] every file of {escape(str(ladder))} is what it was when it was built")
