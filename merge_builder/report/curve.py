"""The accuracy-size curve: score relative to the experts over the rung's size, as places on a canvas."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from merge_builder.evaluation import RungSummary
from merge_builder.ladder import format_bytes
from merge_builder.report.axis import Axis, round_step, round_ticks, spaced
from merge_builder.report.subject import Subject

WIDTH, HEIGHT = 920, 430
LEFT, RIGHT, TOP, BOTTOM = 150, 70, 30, 62
LABEL_GAP = 17
MOST_LABELS = (HEIGHT - BOTTOM - TOP) // LABEL_GAP
MOST_MODELS = 12  # numbers that fit under the axis


@dataclass(frozen=True)
class Tick:
    """A grid line at pixel `at`, with its label and an optional second line under it."""

    at: float
    label: str
    note: str = ""


@dataclass(frozen=True)
class Point:
    """A rung on a curve: its place, the ends of its interval, and all its figures in words."""

    x: float
    y: float
    low: float
    high: float
    told: str


@dataclass(frozen=True)
class Line:
    """One curve. `number` counts the ladders, and is None for a single task; `label_y` is None where none fits."""

    label: str
    number: int | None
    points: Sequence[Point]
    label_y: float | None = None

    @property
    def path(self) -> str:
        """The curve as SVG path data."""
        return "M" + "L".join(f"{point.x},{point.y}" for point in self.points)

    @property
    def band(self) -> str:
        """The intervals' area as SVG path data."""
        upper = [f"{point.x},{point.high}" for point in self.points]
        lower = [f"{point.x},{point.low}" for point in reversed(self.points)]
        return "M" + "L".join(upper + lower) + "Z"


@dataclass(frozen=True)
class Curve:
    """Everything that the picture draws."""

    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    experts_y: float


def draw_curve(subjects: Sequence[Subject]) -> Curve | None:
    """The curves of all evaluated `subjects`; a single one also gets a thin curve a task. None without scores."""
    evaluated = [subject for subject in subjects if subject.rungs]
    if not evaluated:
        return None
    alone = evaluated[0] if len(evaluated) == 1 else None
    ratios = [rung.size.ratio for subject in evaluated for rung in subject.rungs]
    x = Axis(math.floor(min(ratios) + 1e-6), max(ratios), LEFT, WIDTH - RIGHT)
    ticks = round_ticks(_lowest(evaluated, alone), _highest(evaluated, alone), 6)
    y = Axis(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    lines = [
        Line(subject.name, subjects.index(subject), [_mean_point(rung, x, y) for rung in subject.rungs])
        for subject in evaluated
    ]
    if alone is not None:
        lines = [Line("mean of the tasks", lines[0].number, lines[0].points)]
        for task in alone.rungs[0].tasks:
            lines.append(Line(task, None, [_task_point(task, rung, x, y) for rung in alone.rungs]))
    return Curve(_label(lines), _sizes(x, alone), [Tick(y.at(t), f"{100 * t:g} %") for t in ticks], y.at(1))


def _lowest(subjects: Sequence[Subject], alone: Subject | None) -> float:
    means = [rung.mean_interval[0] for subject in subjects for rung in subject.rungs]
    return min(means + [task.normalised for rung in (alone.rungs if alone else ()) for task in rung.tasks.values()])


def _highest(subjects: Sequence[Subject], alone: Subject | None) -> float:
    means = [rung.mean_interval[1] for subject in subjects for rung in subject.rungs]
    tasks = [task.normalised for rung in (alone.rungs if alone else ()) for task in rung.tasks.values()]
    return max([1.0, *means, *tasks])


def _mean_point(rung: RungSummary, x: Axis, y: Axis) -> Point:
    low, high = rung.mean_interval
    told = (
        f"{rung.size.ratio:.2f}x, {format_bytes(rung.size.bytes)} (rung #{rung.size.index})\n"
        f"mean {_percent(rung.mean)} of the experts' accuracy ({100 * low:.1f} to {100 * high:.1f})\n"
        f"worst task {rung.worst_task}: {_percent(rung.worst.normalised)}"
    )
    return Point(x.at(rung.size.ratio), y.at(rung.mean), y.at(low), y.at(high), told)


def _task_point(task: str, rung: RungSummary, x: Axis, y: Axis) -> Point:
    own = rung.tasks[task]
    low, high = own.interval
    told = (
        f"{task} at {rung.size.ratio:.2f}x (rung #{rung.size.index})\n"
        f"{_percent(own.normalised)} of its expert's ({100 * low:.1f} to {100 * high:.1f})\n"
        f"{own.score.measured} {_percent(own.score.accuracy)}"
    )
    return Point(x.at(rung.size.ratio), y.at(own.normalised), y.at(low), y.at(high), told)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _label(lines: Sequence[Line]) -> list[Line]:
    """Each label at the left end of its line, moved apart where they would overlap.

    Where there is no room for all of them, tasks go without: their points tell their names.
    """
    named = lines if len(lines) <= MOST_LABELS else [line for line in lines if line.number is not None][:MOST_LABELS]
    order = sorted(named, key=lambda line: line.points[0].y)
    places = spaced([line.points[0].y for line in order], LABEL_GAP, TOP, HEIGHT - BOTTOM)
    labelled = {id(line): replace(line, label_y=place) for line, place in zip(order, places, strict=True)}
    return [labelled.get(id(line), line) for line in lines]


def _sizes(x: Axis, alone: Subject | None) -> list[Tick]:
    step = max(1, int(round_step(x.high - x.low, MOST_MODELS)))
    low, high = int(x.low), int(x.high + 1e-6)
    models = [low, *(size for size in range(0, high + 1, step) if size > low)]
    return [Tick(x.at(size), f"{size}x", _bytes_at(size, alone) if alone else "") for size in models]


def _bytes_at(ratio: float, subject: Subject) -> str:
    # Bytes are the heads and `ratio` times what all tasks share in the end: a straight line through two rungs.
    first, last = subject.manifest.rungs[0], subject.manifest.rungs[-1]
    slope = (first.bytes - last.bytes) / ((first.ratio - last.ratio) or 1)
    return format_bytes(round(last.bytes + (ratio - last.ratio) * slope))
