"""What the demo shows a newcomer: sizes and accuracies, answers, and speed."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from deploy.demo.load import Load
from merge_builder.evaluation import RungSummary
from merge_builder.ladder import format_bytes

TEXT_WIDTH = 60


def size_accuracy_table(rungs: Sequence[RungSummary]) -> Table:
    """A row a rung, the smallest first: its size, each task's accuracy in percent, and the mean relative to experts."""
    tasks = list(rungs[0].tasks)
    table = Table("size", "memory", *tasks, "% kept", box=None, header_style="bold", pad_edge=False)
    table.caption = "accuracy in percent; % kept: of the experts' accuracy, on average"
    for rung in rungs:
        accuracies = [f"{100 * rung.tasks[task].score.accuracy:.1f}" for task in tasks]
        size, memory = f"{rung.size.ratio:.2f}x", format_bytes(rung.size.bytes)
        table.add_row(size, memory, *accuracies, f"{100 * rung.mean:.1f}")
    return table


def answer_lines(text: str, results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The text, then a line a task: the best label that the server gave to it, and its score."""
    lines = [f'    [italic]"{escape(_short(text))}"[/]']
    for task, result in results.items():
        best = result["predictions"][0][0]
        lines.append(f"    {task:<20} [bold]{escape(_short(best['label']))}[/] ({best['score']:.2f})")
    return lines


def _short(text: str) -> str:
    return text if len(text) <= TEXT_WIDTH else text[: TEXT_WIDTH - 3] + "..."


def load_line(load: Load, clients: int) -> str:
    """The speed that clients saw, in one sentence."""
    milliseconds = {percent: 1000 * load.percentile(percent) for percent in (50, 95)}
    return (
        f"{len(load.latencies)} requests from {clients} clients in {load.seconds:.1f} s: "
        f"{len(load.latencies) / load.seconds:.0f} requests/s, half of them within {milliseconds[50]:.0f} ms, "
        f"95 % within {milliseconds[95]:.0f} ms, {load.failed} failed"
    )
