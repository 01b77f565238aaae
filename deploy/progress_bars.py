"""Progress for people: bars with the time left on a terminal, a plain line now and then elsewhere.

with progress_bars(console) as progress:
    build(recipe, out, progress=progress)
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from merge_builder.progress import Progress

LINE_EVERY_SECONDS = 5.0


@contextmanager
def progress_bars(console: Console) -> Iterator[Progress]:
    """A `merge_builder.progress.Progress` that draws on `console` until the block ends."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        yield _bars(bars)


def _bars(bars: Bars) -> Progress:
    stages: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int, unit: str) -> None:
        if stage not in stages and done >= total:
            return  # there was nothing to do
        if stage not in stages:
            stages[stage] = bars.add_task(stage, total=total, amount="")
        bars.update(stages[stage], completed=done, total=total, amount=_amount(done, total, unit))

    return show


def _lines(console: Console) -> Progress:
    said: dict[str, float] = {}

    def show(stage: str, done: int, total: int, unit: str) -> None:
        now, ended = time.monotonic(), done >= total
        if stage not in said and not ended:
            said[stage] = now
            console.print(f"{stage} ...")
        elif stage in said and (ended or now - said[stage] >= LINE_EVERY_SECONDS):
            said[stage] = now
            console.print(f"{stage}: {_amount(done, total, unit)}")
        if ended:
            said.pop(stage, None)

    return show


def _amount(done: int, total: int, unit: str) -> str:
    if unit == "B":
        return f"{decimal(done)} of {decimal(total)}"
    return f"{done}/{total} {unit}"
