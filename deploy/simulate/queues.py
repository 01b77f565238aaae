"""The fleet's queues in steps of time: arrivals, routing, one batch at a time on every node, deadlines.

A node answers first in, first out, with no more than a batch's requests at once and as many as wait when its engine is
free, like `serving.batcher`. The ends of batches are exact; arrivals become known at the end of their step. A node's
queue is two counters, requests taken in and requests taken out; what the first was at every step within the last
deadline tells how many of a batch arrived too long ago.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deploy.simulate.load import Routing
from deploy.simulate.routing import route

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Nodes:
    """What does not change: `seconds[k, n]` is the time of a batch of n requests on a node of kind k.

    `kind` has one entry a node. A node refuses what would be more than `most_queued` requests waiting.
    """

    kind: Ints
    seconds: Floats
    most_queued: int
    deadline_seconds: float
    step_seconds: float
    routing: Routing

    @property
    def batch(self) -> int:
        """The most requests in one batch."""
        return int(self.seconds.shape[1]) - 1

    @property
    def capacity(self) -> Floats:
        """Requests a second of each node while its batches are full."""
        rates: Floats = self.batch / self.seconds[self.kind, self.batch]
        return rates


@dataclass
class Tally:
    """What became of requests, in numbers; `answered` in time, by node. Each is counted when its fate is known.

    arrived = answered + late + expired + refused + those that still wait. `late` had their batch end after the
    deadline, `expired` were dropped in the queue, `refused` found it full. `waiting_steps` sums the queue over steps.
    """

    answered: Ints
    arrived: int = 0
    late: int = 0
    expired: int = 0
    refused: int = 0
    waiting_steps: int = 0


@dataclass
class Queues:
    """The state of all nodes; `run` goes on from where it was."""

    nodes: Nodes
    chance: np.random.Generator
    _step: int = field(init=False)
    _taken_in: Ints = field(init=False)
    _taken_out: Ints = field(init=False)
    _in_flight: Ints = field(init=False)
    _free_at: Floats = field(init=False)  # in steps
    _capacity: Floats = field(init=False)
    _history: Ints = field(init=False)  # requests taken in at the end of each of the last steps

    def __post_init__(self) -> None:
        count = len(self.nodes.kind)
        # A batch may have started a step before the present one.
        remembered = int(np.ceil(self._deadline)) + 3
        self._step = remembered
        self._taken_in, self._taken_out, self._in_flight = np.zeros((3, count), np.int64)
        self._free_at = np.zeros(count)
        self._capacity = self.nodes.capacity
        self._history = np.zeros((remembered, count), np.int64)

    @property
    def waiting(self) -> Ints:
        """Requests in each node's queue."""
        return self._taken_in - self._taken_out

    @property
    def _deadline(self) -> float:
        return self.nodes.deadline_seconds / self.nodes.step_seconds

    def run(self, arrivals: Iterable[int]) -> Tally:
        """Go through one step for each of `arrivals`, the requests that come in it."""
        tally = Tally(np.zeros(len(self.nodes.kind), np.int64))
        for count in arrivals:
            self._step += 1
            had_queue = self._taken_in > self._taken_out
            self._admit(int(count), tally)
            while len(ready := np.flatnonzero((self._free_at <= self._step) & (self._taken_in > self._taken_out))):
                self._start_batches(ready, had_queue, tally)
                had_queue[ready] = True
            tally.waiting_steps += int(self.waiting.sum())
        return tally

    def _admit(self, count: int, tally: Tally) -> None:
        outstanding = self.waiting + np.where(self._free_at > self._step - 1, self._in_flight, 0)
        coming = route(self.nodes.routing, count, outstanding, self._capacity, self.chance)
        admitted = np.minimum(coming, self.nodes.most_queued - self.waiting)
        self._taken_in += admitted
        self._history[self._step % len(self._history)] = self._taken_in
        tally.arrived += count
        tally.refused += count - int(admitted.sum())

    def _start_batches(self, ready: Ints, had_queue: NDArray[np.bool_], tally: Tally) -> None:
        """Start one batch on each of the nodes `ready`: when the last one ended if there was a queue, else now."""
        earlier = np.maximum(self._free_at[ready], self._step - 1)
        start = np.where(had_queue[ready], earlier, self._step)
        first = self._taken_out[ready]
        alive = np.maximum(first, self._arrived_by(start - self._deadline, ready))
        taken = np.minimum(self._taken_in[ready] - alive, self.nodes.batch)
        end = start + self.nodes.seconds[self.nodes.kind[ready], taken] / self.nodes.step_seconds
        in_time = alive + taken - np.clip(self._arrived_by(end - self._deadline, ready), alive, alive + taken)
        self._taken_out[ready] = alive + taken
        self._in_flight[ready] = taken
        self._free_at[ready] = end
        tally.answered[ready] += in_time
        tally.expired += int((alive - first).sum())
        tally.late += int((taken - in_time).sum())

    def _arrived_by(self, step: Floats, nodes: Ints) -> Ints:
        """How many requests each of `nodes` had taken in by `step`, which is no longer ago than the deadline.

        All that came within a step count as come in its middle.
        """
        when = np.minimum(np.floor(step + 0.5).astype(np.int64), self._step)
        found: Ints = self._history[when % len(self._history), nodes]
        return found
