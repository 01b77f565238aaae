"""Hyperband (arXiv 1603.06560) over ask and tell: many candidates on few rows, the best of them on more.

A fidelity is a number of rows of each task, a prefix of the next: going up, only the additional rows are run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

ETA = 3
Point = TypeVar("Point")


@dataclass(frozen=True)
class Stage:
    """`count` candidates on `rows` rows."""

    count: int
    rows: int


def brackets(least: int, most: int, eta: int = ETA) -> tuple[tuple[Stage, ...], ...]:
    """The brackets of one round, the most explorative first; each halves (by `eta`) from its first stage to its last.

    `least` and `most` bound the rows; the last stage of every bracket has `most`.
    """
    depth = 0
    while least * eta ** (depth + 1) <= most:
        depth += 1
    table = []
    for start in range(depth, -1, -1):
        first = ceil(eta**start * (depth + 1) / (start + 1))
        table.append(tuple(Stage(first // eta**k, round(most / eta ** (start - k))) for k in range(start + 1)))
    return tuple(table)


def run_bracket(
    stages: Sequence[Stage],
    ask: Callable[[], Point],
    score: Callable[[Point, int], float],
    tell: Callable[[Point, float], None],
    prepare: Callable[[Sequence[Point], int], None],
) -> None:
    """Ask for the first stage's candidates, keep the best of every stage for the next, tell each one's last score.

    Of equal ones the earlier stays. `prepare` is told which candidates a stage will score, before it does.
    """
    points = [ask() for _ in range(stages[0].count)]
    last: dict[int, float] = {}
    alive = list(range(len(points)))
    for stage in stages:
        alive = alive[: stage.count]
        prepare([points[number] for number in alive], stage.rows)
        for number in alive:
            last[number] = score(points[number], stage.rows)
        alive.sort(key=lambda number: (-last[number], number))
    for number, value in last.items():
        tell(points[number], value)
