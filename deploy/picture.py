"""Pictures of a ladder for a terminal: the tasks, the blocks, and the sizes of the rungs as bars."""

from collections.abc import Sequence

from rich.bar import Bar
from rich.markup import escape
from rich.table import Table

from merge_builder.describe import fold
from merge_builder.ladder import Manifest, RungSize, format_bytes
from merge_builder.ladder.kinds import kind_told

ROWS = 9


def task_table(manifest: Manifest) -> Table:
    """A row a task: its kind, its labels and the bytes of its head."""
    table = Table("task", "kind", "labels", "head", box=None, header_style="bold", pad_edge=False)
    for task in manifest.tasks:
        names = escape(", ".join(task.labels[:6])) + (f", ... ({len(task.labels)})" if len(task.labels) > 6 else "")
        table.add_row(task.name, kind_told(task), names, format_bytes(task.head.bytes))
    return table


def block_table(manifest: Manifest) -> Table:
    """A row a block, in the order of the forward pass: the tensors and bytes of one version, its share of a model.

    Layers with the same blocks are one row, with their blocks below it; the share is that of all of them.
    """
    table = Table("block", "", "tensors", "memory", "share", box=None, header_style="bold", pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    total = sum(block.bytes for block in manifest.blocks)
    for part in fold(manifest.blocks):
        copies = f"{part.copies} x" if part.copies > 1 else ""
        rows = [(part.name, copies, part)]
        rows += [(f"{'└' if inner is part.blocks[-1] else '├'} {inner.name}", "", inner) for inner in part.blocks]
        for name, times, row in rows:
            share = f"{part.copies * row.bytes / total:.1%}"
            table.add_row(name, times, str(row.tensors), format_bytes(row.bytes), share)
    return table


def rung_picture(manifest: Manifest, chosen: RungSize | None) -> Table:
    """A bar a rung for some rungs between the largest and the smallest, the chosen one among them and marked."""
    table = Table("rung", "ratio", "memory", "", "", box=None, header_style="bold", pad_edge=False)
    largest = max(rung.bytes for rung in manifest.rungs)
    for rung in spread(manifest.rungs, ROWS, chosen):
        mark = "[bold green]< chosen[/]" if rung == chosen else _end_note(rung, manifest)
        style = "green" if rung == chosen else "cyan"
        bar = Bar(largest, 0, rung.bytes, width=40, color=style)
        table.add_row(f"#{rung.index}", f"{rung.ratio:.2f}x", format_bytes(rung.bytes), bar, mark)
    return table


def spread(rungs: Sequence[RungSize], rows: int, chosen: RungSize | None) -> list[RungSize]:
    """At most `rows` rungs, evenly spaced by index, both ends and `chosen` among them."""
    last = len(rungs) - 1
    picked = {round(last * row / (rows - 1)) for row in range(rows)}
    if chosen is not None and chosen.index not in picked:
        inner = sorted(picked - {0, last}, key=lambda index: abs(index - chosen.index))
        picked = picked - set(inner[:1]) | {chosen.index}
    return [rungs[index] for index in sorted(picked)]


def _end_note(rung: RungSize, manifest: Manifest) -> str:
    if rung.index == 0 and manifest.trace:  # without a trace: one stack of layers, or one task
        return "every expert"
    if rung.index < len(manifest.rungs) - 1:
        return ""
    masked = any(version.kind == "masked" for version in manifest.versions)
    return "shared, with masks" if masked else "one shared model"
