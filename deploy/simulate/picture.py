"""The day as a picture: what is offered, what each policy answers in time, and how much of it is right.

The last is of tasks whose answers are right or wrong; where there is none, as of embeddings, there is no such panel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.simulate.simulation import Simulation
from merge_builder.report.axis import Axis, round_ticks, spaced
from merge_builder.report.templates import templates_in

Floats = NDArray[np.float64]

WIDTH, LEFT, RIGHT = 920, 60, 180
_HEIGHT, _TOPS = 210, (40, 320)  # of a panel; where the two begin
_LABEL_GAP = 17


@dataclass(frozen=True)
class Tick:
    """A grid line at pixel `at`, with its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One policy: SVG path data, and its label at the right end."""

    label: str
    path: str
    label_y: float


@dataclass(frozen=True)
class Panel:
    """One quantity over the hours, from the pixels `top` to `bottom`; `offered` is the dashed line, if there is one."""

    title: str
    top: int
    bottom: int
    ticks: Sequence[Tick]
    lines: Sequence[Line]
    offered: str


def draw(simulation: Simulation) -> str:
    """A standalone SVG of one or two panels, light or dark as the reader's system is; equal for equal simulations."""
    days = {name: outcome.day for name, outcome in simulation.outcomes.items()}
    offered = next(iter(days.values())).offered
    goodput = {name: day.goodput / 1000 for name, day in days.items()}
    judged = {name: day.judged for name, day in days.items() if day.judged is not None}
    right = {name: 100 * own.scores / np.maximum(own.asked, 1e-9) for name, own in judged.items()}
    x = Axis(0, 24, LEFT, WIDTH - RIGHT)
    places = [x.at(hour) for hour in simulation.load.hours]
    title = "answers in time, thousands a second (dashed: asked)"
    panels = [_panel(_TOPS[0], title, places, goodput, offered / 1000)]
    if right:
        whole = all(day.ranked is None for day in days.values())
        title = f"answers in time and right, % of what is asked{'' if whole else ' of tasks with right answers'}"
        panels.append(_panel(_TOPS[1], title, places, right, None))
    environment = templates_in(Path(__file__).parent)
    return environment.get_template("picture.html").render(
        panels=panels,
        hours=[Tick(x.at(hour), f"{hour}:00") for hour in range(0, 25, 4)],
        left=LEFT,
        right=WIDTH - RIGHT,
        width=WIDTH,
        height=panels[-1].bottom + 50,
    )


def _panel(top: int, title: str, x: Sequence[float], values: Mapping[str, Floats], offered: Floats | None) -> Panel:
    every = [*values.values()] if offered is None else [*values.values(), offered]
    ticks = round_ticks(0, max(float(np.max(own)) for own in every), 5)
    y = Axis(ticks[0], ticks[-1], top + _HEIGHT, top)
    names = sorted(values, key=lambda name: y.at(float(values[name][-1])))
    wanted = [y.at(float(values[name][-1])) for name in names]
    labels = dict(zip(names, spaced(wanted, _LABEL_GAP, top, top + _HEIGHT), strict=True))
    return Panel(
        title=title,
        top=top,
        bottom=top + _HEIGHT,
        ticks=[Tick(y.at(tick), f"{tick:g}") for tick in ticks],
        lines=[Line(name, _path(x, own, y), labels[name]) for name, own in values.items()],
        offered="" if offered is None else _path(x, offered, y),
    )


def _path(x: Sequence[float], values: Floats, y: Axis) -> str:
    return "M" + "L".join(f"{place},{y.at(float(value))}" for place, value in zip(x, values, strict=True))
