"""The heat map: what every task keeps of its expert's accuracy at every evaluated rung."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from merge_builder.evaluation import TaskSummary
from merge_builder.ladder.manifest import RungSize
from merge_builder.report.subject import Subject

FULL = 0.25  # a loss of a quarter, and more, gets the strongest colour


@dataclass(frozen=True)
class Cell:
    """A share of the expert's accuracy: `strength` of the colour from 0 to 1, for a `loss` or a gain."""

    normalised: float
    loss: bool
    strength: float
    told: str


@dataclass(frozen=True)
class HeatMap:
    """Rungs from the smallest on; for each task its expert's own score and a cell a rung; what scores other than
    accuracy are called, by task."""

    sizes: Sequence[RungSize]
    rows: Sequence[tuple[str, float, Sequence[Cell]]]
    means: Sequence[Cell]
    metrics: Mapping[str, str]


def draw_heat_map(subject: Subject) -> HeatMap | None:
    """The map of one ladder, None without scores. Rung 0 has no column: there every cell is 1."""
    rungs = [rung for rung in subject.rungs if rung.size.index]
    if not rungs:
        return None
    experts = next(rung for rung in subject.rungs if rung.size.index == 0)
    rows = [
        (task, own.score.accuracy, [_task_cell(rung.tasks[task]) for rung in rungs])
        for task, own in experts.tasks.items()
    ]
    means = [_cell(rung.mean, rung.mean_interval, "mean of the tasks") for rung in rungs]
    metrics = {task: own.score.measured for task, own in experts.tasks.items() if own.score.metric != "accuracy"}
    return HeatMap([rung.size for rung in rungs], rows, means, metrics)


def _task_cell(task: TaskSummary) -> Cell:
    score = task.score
    low, high = (100 * end for end in score.interval)
    own = f"{score.measured} {100 * score.accuracy:.1f} % ({low:.1f} to {high:.1f})"
    if score.macro_f1 is not None:
        own += f", {'macro-F1' if score.metric == 'accuracy' else 'F1'} {100 * score.macro_f1:.1f} %"
    return _cell(task.normalised, task.interval, f"{score.task}\n{own}, {score.rows} rows")


def _cell(normalised: float, interval: tuple[float, float], told: str) -> Cell:
    low, high = (100 * end for end in interval)
    relative = f"{100 * normalised:.1f} % of the expert's ({low:.1f} to {high:.1f})"
    change = abs(1 - normalised)
    return Cell(normalised, normalised < 1, round(min(change / FULL, 1), 3), f"{told}\n{relative}")
