"""A day of one policy: windows of seconds throughout 24 hours, the queues going on from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.simulate.load import Load
from deploy.simulate.plan import Plan
from deploy.simulate.queues import Queues, Tally

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ARRIVALS, _ROUTING = 0, 1  # streams of chance: all policies get the same arrivals


@dataclass(frozen=True)
class Day:
    """One policy's day; the arrays have one entry a window, and all rates are a second.

    `right` is the answers in time weighed by the accuracy of their task on the rung that answered, `experts` the same
    answers by the accuracy of all experts. `late`, `expired` and `refused` count the windows' requests (see `Tally`).
    `wait_seconds` is the mean time in a queue.
    """

    offered: Floats
    goodput: Floats
    right: Floats
    experts: Floats
    late: int
    expired: int
    refused: int
    wait_seconds: float

    @property
    def in_time(self) -> float:
        """The share of the day's requests that were answered within the deadline."""
        return float(self.goodput.sum() / max(self.offered.sum(), 1e-9))


def simulate_day(plan: Plan, load: Load, experts: Floats, seed: int) -> Day:
    """The whole fleet of `plan` under `load`; `experts` is each task's accuracy with all experts.

    The same seed gives the same bits.
    """
    counts = [kind.nodes for kind in plan.kinds]
    queues = _queues(plan, counts, load, seed)
    steps = max(1, round(load.window_seconds / load.step_seconds))
    seconds = steps * load.step_seconds
    rows, tallies = [], []
    for number, hour in enumerate(load.hours):
        arrivals = _arrivals(load, hour, steps, len(experts), seed, number)
        tally = _run(queues, arrivals.sum(axis=0))
        share = arrivals.sum(axis=1) / max(1, arrivals.sum())
        answered = np.bincount(plan.nodes(counts, load).kind, tally.answered, len(plan.kinds))
        right = float(answered @ plan.accuracy @ share)
        rows.append([tally.arrived, answered.sum(), right, answered.sum() * float(experts @ share)])
        tallies.append(tally)
    offered, goodput, right_rate, expert_rate = np.array(rows, np.float64).T / seconds
    admitted = sum(tally.arrived - tally.refused for tally in tallies)
    return Day(
        offered=offered,
        goodput=goodput,
        right=right_rate,
        experts=expert_rate,
        late=sum(tally.late for tally in tallies),
        expired=sum(tally.expired for tally in tallies),
        refused=sum(tally.refused for tally in tallies),
        wait_seconds=sum(tally.waiting_steps for tally in tallies) * load.step_seconds / max(1, admitted),
    )


def share_in_time(plan: Plan, counts: Sequence[int], load: Load, hour: float, tasks: int, seed: int) -> float:
    """The share of requests answered in time by `counts` nodes of each kind at `hour`, once the queues are settled."""
    queues = _queues(plan, counts, load, seed)
    settle = int(np.ceil(5 * load.deadline_seconds / load.step_seconds))
    arrivals = _arrivals(load, hour, 3 * settle, tasks, seed, load.windows).sum(axis=0)
    _run(queues, arrivals[:settle])
    tally = _run(queues, arrivals[settle:])
    return float(tally.answered.sum()) / max(1, tally.arrived)


def _queues(plan: Plan, counts: Sequence[int], load: Load, seed: int) -> Queues | None:
    """None where no node serves."""
    nodes = plan.nodes(counts, load)
    return Queues(nodes, np.random.default_rng([seed, _ROUTING])) if len(nodes.kind) else None


def _run(queues: Queues | None, arrivals: Ints) -> Tally:
    if queues is None:
        count = int(arrivals.sum())
        return Tally(np.zeros(0, np.int64), arrived=count, refused=count)
    return queues.run(arrivals)


def _arrivals(load: Load, hour: float, steps: int, tasks: int, seed: int, window: int) -> Ints:
    """Requests of each task in each step, shape (tasks, steps)."""
    chance = np.random.default_rng([seed, _ARRIVALS, window])
    return chance.poisson(load.rates(hour, tasks)[:, None] * load.step_seconds, (tasks, steps))
