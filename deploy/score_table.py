"""The scores of an evaluation as a table for a terminal: tasks by rungs, the experts' own score as the measure."""

from collections.abc import Sequence

from rich.table import Table

from merge_builder.evaluation import RungSummary
from merge_builder.ladder.additions import Score

_COLUMN = len("100.0") + 2


def score_tables(rungs: Sequence[RungSummary], width: int) -> list[Table]:
    """A row a task and a column a rung: accuracy in percent (or what else the row names, in hundredths), then the mean
    and the worst in percent of the experts'.

    As many tables as it takes to keep within `width` characters.
    """
    tasks = list(rungs[0].tasks) if rungs else []
    named = [_named(rungs[0].tasks[task].score) for task in tasks]
    names = max(map(len, [*named, "mean, % of experts'"])) + 2
    columns = max(1, (width - names) // _COLUMN)
    return [_table(rungs[start : start + columns], tasks) for start in range(0, len(rungs), columns)]


def _table(rungs: Sequence[RungSummary], tasks: Sequence[str]) -> Table:
    table = Table("accuracy, %", box=None, header_style="bold", pad_edge=False)
    for rung in rungs:
        table.add_column(f"{rung.size.ratio:.2f}x", justify="right", no_wrap=True)
    for task in tasks:
        table.add_row(
            _named(rungs[0].tasks[task].score), *(f"{100 * rung.tasks[task].score.accuracy:.1f}" for rung in rungs)
        )
    table.add_section()
    table.add_row("mean, % of experts'", *(f"{100 * rung.mean:.1f}" for rung in rungs), style="bold")
    table.add_row("  from", *(f"{100 * rung.mean_interval[0]:.1f}" for rung in rungs), style="dim")
    table.add_row("  to", *(f"{100 * rung.mean_interval[1]:.1f}" for rung in rungs), style="dim")
    table.add_row("worst task", *(f"{100 * rung.worst.normalised:.1f}" for rung in rungs))
    return table


def _named(score: Score) -> str:
    return score.task if score.metric == "accuracy" else f"{score.task}, {score.measured}"
