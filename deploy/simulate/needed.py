"""How large a fleet of the same proportions must be for the load's peak."""

from collections.abc import Sequence

import numpy as np

from deploy.simulate.day import share_in_time
from deploy.simulate.load import Load
from deploy.simulate.plan import Plan

_PRECISION = 0.01  # of the number found: the search stops there
_MOST = 64  # times the fleet as it is


def nodes_needed(plan: Plan, load: Load, tasks: int, seed: int) -> list[int] | None:
    """The least nodes of each kind, in the fleet's proportions, that keep `load.target` of the deadlines at the peak.

    Idle nodes are counted too: they are part of the fleet. To within 1 %. None where no node serves, or where even 64
    times the fleet would not do, as when one request alone takes longer than the deadline.
    """
    own = [kind.nodes for kind in plan.kinds]
    if not any(plan.serving(own)):
        return None
    hour = max(load.hours, key=lambda hour: float(load.rates(hour, tasks).sum()))

    def enough(total: int) -> bool:
        counts = in_proportion(own, total)
        return any(plan.serving(counts)) and share_in_time(plan, counts, load, hour, tasks, seed) >= load.target

    low = 0  # not enough
    high = max(1, int(sum(own) * _least_multiple(plan, load, hour, tasks)))
    while not enough(high):
        low, high = high, 2 * high
        if high > _MOST * sum(own):
            return None
    while high - low > max(1, _PRECISION * high):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return in_proportion(own, high)


def in_proportion(counts: Sequence[int], total: int) -> list[int]:
    """`total` split like `counts`, by largest remainders."""
    exact = np.array(counts) * total / sum(counts)
    whole = np.floor(exact).astype(int)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return [int(count) for count in whole]


def _least_multiple(plan: Plan, load: Load, hour: float, tasks: int) -> float:
    """Of the fleet, what could work off the peak if every batch were full: a place to start from."""
    capacity = float(plan.nodes([kind.nodes for kind in plan.kinds], load).capacity.sum())
    return min(_MOST, float(load.rates(hour, tasks).sum()) / capacity)
