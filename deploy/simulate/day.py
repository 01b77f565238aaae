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
class Answers:
    """What some tasks were asked and answered in time, a second; the arrays have one entry a window.

    `scores` is the answers weighed by the score of their task on the rung that answered, `experts` the same answers by
    the scores of all experts. Where a score is the share of answers that are right, `scores` counts right answers.
    """

    asked: Floats
    answered: Floats
    scores: Floats
    experts: Floats

    @property
    def mean(self) -> float | None:
        """The mean score of an answer; None where there is none."""
        return _ratio(self.scores.sum(), self.answered.sum())

    @property
    def of_experts(self) -> float | None:
        """The scores as a share of the experts'; None where there are none."""
        return _ratio(self.scores.sum(), self.experts.sum())


@dataclass(frozen=True)
class Day:
    """One policy's day; the arrays have one entry a window, and all rates are a second.

    `judged` are the tasks whose score is the share of answers that are right, `ranked` those scored by a rank
    correlation; None where no task is. `late`, `expired` and `refused` count the windows' requests (see `Tally`).
    `wait_seconds` is the mean time in a queue.
    """

    offered: Floats
    goodput: Floats
    judged: Answers | None
    ranked: Answers | None
    late: int
    expired: int
    refused: int
    wait_seconds: float

    @property
    def in_time(self) -> float:
        """The share of the day's requests that were answered within the deadline."""
        return float(self.goodput.sum() / max(self.offered.sum(), 1e-9))


def simulate_day(plan: Plan, load: Load, experts: Floats, shares: NDArray[np.bool_], seed: int) -> Day:
    """The whole fleet of `plan` under `load`; `experts` is each task's score with all experts, `shares` tells of each
    whether that is the share of answers that are right.

    The same seed gives the same bits.
    """
    counts = [kind.nodes for kind in plan.kinds]
    queues = _queues(plan, counts, load, seed)
    steps = max(1, round(load.window_seconds / load.step_seconds))
    seconds = steps * load.step_seconds
    of_tasks, tallies = [], []
    for number, hour in enumerate(load.hours):
        arrivals = _arrivals(load, hour, steps, len(experts), seed, number)
        tally = _run(queues, arrivals.sum(axis=0))
        share = arrivals.sum(axis=1) / max(1, arrivals.sum())
        answered = np.bincount(plan.nodes(counts, load).kind, tally.answered, len(plan.kinds))
        answers, ones = answered.sum(), np.ones(len(experts))
        whole = np.stack([tally.arrived * ones, answers * ones, answered @ plan.scores, answers * experts])
        of_tasks.append(whole * share)
        tallies.append(tally)
    admitted = sum(tally.arrived - tally.refused for tally in tallies)
    return Day(
        offered=np.array([tally.arrived for tally in tallies]) / seconds,
        goodput=np.array([tally.answered.sum() for tally in tallies]) / seconds,
        judged=_answers(np.array(of_tasks) / seconds, shares),
        ranked=_answers(np.array(of_tasks) / seconds, ~shares),
        late=sum(tally.late for tally in tallies),
        expired=sum(tally.expired for tally in tallies),
        refused=sum(tally.refused for tally in tallies),
        wait_seconds=sum(tally.waiting_steps for tally in tallies) * load.step_seconds / max(1, admitted),
    )


def _answers(of_tasks: Floats, chosen: NDArray[np.bool_]) -> Answers | None:
    """The `chosen` tasks together, from (windows, the fields of Answers, tasks)."""
    return Answers(*of_tasks[:, :, chosen].sum(axis=2).T) if chosen.any() else None


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


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
