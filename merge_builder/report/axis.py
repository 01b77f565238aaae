"""A straight scale from values to pixels, and round tick values."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """Maps `low` to the pixel `start` and `high` to the pixel `end`, straight between."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of `value`, to a tenth."""
        share = (value - self.low) / (self.high - self.low or 1)
        return round(self.start + share * (self.end - self.start), 1)


def round_step(span: float, ticks: int) -> float:
    """The least of 1, 2, 5, 10, ... times a power of ten that cuts `span` into at most `ticks` parts."""
    raw = span / ticks
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))


def round_ticks(low: float, high: float, ticks: int) -> list[float]:
    """Multiples of a round step, the first at or below `low` and the last at or above `high`."""
    step = round_step(high - low, ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def spaced(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near to `wanted` (in rising order) as keeps neighbours `gap` apart and all between `low` and `high`.

    For labels that would overlap. There must be room for all of them.
    """
    clusters: list[list[float]] = []  # of neighbours that touch: the sum of where each wants the cluster, their number
    for index, place in enumerate(wanted):
        clusters.append([place - index * gap, 1])
        while len(clusters) > 1 and clusters[-2][0] / clusters[-2][1] >= clusters[-1][0] / clusters[-1][1]:
            total, count = clusters.pop()
            clusters[-1] = [clusters[-1][0] + total, clusters[-1][1] + count]
    offsets = [total / count for total, count in clusters for _ in range(int(count))]
    highest = high - (len(wanted) - 1) * gap
    return [round(min(max(offset, low), highest) + index * gap, 1) for index, offset in enumerate(offsets)]
