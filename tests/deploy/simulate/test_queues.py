"""The queues against queueing theory, against a plain event simulation, and against their own books."""

import heapq
from collections import deque

import numpy as np
import pytest

from deploy.simulate.queues import Nodes, Queues, Tally

STEP = 0.05


def nodes(count: int, seconds: list[float], **changed: object) -> Nodes:
    """Equal nodes; `seconds[n - 1]` is the time of a batch of n."""
    given = {"most_queued": 10**6, "deadline_seconds": 60.0, "step_seconds": STEP, "routing": "random"} | changed
    return Nodes(np.zeros(count, np.int64), np.array([[0.0, *seconds]]), **given)  # type: ignore[arg-type]


def run(fleet: Nodes, rate: float, seconds: float, *, settle: float = 0.0, seed: int = 0) -> tuple[Queues, Tally]:
    queues, chance = Queues(fleet, np.random.default_rng([seed, 1])), np.random.default_rng([seed, 0])
    per_step = rate * fleet.step_seconds
    queues.run(chance.poisson(per_step, int(settle / fleet.step_seconds)))
    return queues, queues.run(chance.poisson(per_step, int(seconds / fleet.step_seconds)))


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_single_servers_wait_as_pollaczek_and_khinchine_say(busy):
    # M/D/1 with a service of 1 s: the mean wait is rho / (2 (1 - rho)) seconds.
    _, tally = run(nodes(500, [1.0]), busy * 500, 300, settle=60)
    assert tally.arrived > 40_000
    assert tally.waiting_steps * STEP / tally.arrived == pytest.approx(busy / (2 * (1 - busy)), rel=0.04)


def test_two_choices_wait_far_less_than_random_ones():
    waits = {}
    for routing in ("random", "two_choices"):
        _, tally = run(nodes(200, [1.0], routing=routing), 0.9 * 200, 200, settle=100)
        waits[routing] = tally.waiting_steps / tally.arrived
    assert waits["two_choices"] < waits["random"] / 3


@pytest.mark.parametrize(("busy", "most_queued"), [(0.7, 10**6), (1.2, 10**6), (1.3, 20)])
def test_batches_and_deadlines_go_as_in_an_event_simulation(busy, most_queued):
    seconds = [0.2 + 0.05 * n for n in range(1, 9)]
    rate = busy * 8 / seconds[-1]  # of one node, relative to what full batches take
    deadline = 2.0
    fleet = nodes(100, seconds, deadline_seconds=deadline, step_seconds=0.01, most_queued=most_queued)
    _, tally = run(fleet, 100 * rate, 60, settle=10)
    answered, expired, refused = event_simulation(rate, 4000.0, seconds, deadline, most_queued)
    assert tally.answered.sum() / tally.arrived == pytest.approx(answered, abs=0.02)
    assert tally.expired / tally.arrived == pytest.approx(expired, abs=0.02)
    assert tally.refused / tally.arrived == pytest.approx(refused, abs=0.02)


def event_simulation(
    rate: float, until: float, seconds: list[float], deadline: float, most_queued: int
) -> tuple[float, float, float]:
    """The shares of one node's requests that are answered in time, expire in the queue and are refused, one by one."""
    chance = np.random.default_rng(7)
    times = np.cumsum(chance.exponential(1 / rate, int(rate * until)))
    queue: deque[float] = deque()
    events = [(time, 0) for time in times]
    heapq.heapify(events)
    answered = expired = refused = 0
    busy = False
    while events:
        now, kind = heapq.heappop(events)
        if kind == 1:
            busy = False
        elif len(queue) < most_queued:
            queue.append(now)
        else:
            refused += 1
        if busy:
            continue
        while queue and queue[0] <= now - deadline:
            queue.popleft()
            expired += 1
        batch = [queue.popleft() for _ in range(min(len(queue), len(seconds)))]
        if batch:
            busy, end = True, now + seconds[len(batch) - 1]
            answered += sum(end - came < deadline for came in batch)
            heapq.heappush(events, (end, 1))
    return answered / len(times), expired / len(times), refused / len(times)


@pytest.mark.parametrize("rate", [100, 600, 3000])
@pytest.mark.parametrize("routing", ["random", "two_choices", "weighted"])
def test_every_request_has_one_fate(rate, routing):
    fleet = nodes(40, [0.3 + 0.01 * n for n in range(1, 9)], deadline_seconds=1.0, most_queued=20, routing=routing)
    queues, tally = run(fleet, rate, 30)
    fates = int(tally.answered.sum()) + tally.late + tally.expired + tally.refused + int(queues.waiting.sum())
    assert fates == tally.arrived > 2000
    assert queues.waiting.min() >= 0
    assert queues.waiting.max() <= 20
    if rate == 3000:
        assert min(tally.expired + tally.late, tally.refused) > 0


def test_a_saturated_node_loses_no_time_between_batches():
    # Batches of 4 in 0.33 s, which is no multiple of the step: 12.1 requests a second and node, whatever the step.
    _, tally = run(nodes(50, [0.1, 0.2, 0.3, 0.33], deadline_seconds=1e3, most_queued=500), 50 * 40, 100)
    assert tally.answered.sum() + tally.late == pytest.approx(50 * 100 * 4 / 0.33, rel=0.01)


def test_weights_send_a_fast_node_its_share():
    fleet = Nodes(
        kind=np.repeat([0, 1], [90, 10]),
        seconds=np.array([[0, 1.0], [0, 0.1]]),
        most_queued=50,
        deadline_seconds=10.0,
        step_seconds=STEP,
        routing="weighted",
    )
    # Together they do 190 a second; two equal choices cannot give a tenth of the nodes more than a fifth of the work.
    _, weighted = run(fleet, 170, 120, settle=30)
    assert weighted.answered.sum() / weighted.arrived > 0.99
    assert weighted.answered[90:].sum() / weighted.answered.sum() == pytest.approx(100 / 190, abs=0.06)
    _, equal = run(Nodes(**{**vars(fleet), "routing": "two_choices"}), 170, 120, settle=30)
    assert equal.answered[90:].sum() / equal.arrived < 0.2
    assert equal.answered.sum() / equal.arrived < 0.9


def test_the_same_seed_gives_the_same_bits():
    fleet = nodes(30, [0.3, 0.4], deadline_seconds=1.0, routing="two_choices")
    first, second, other = (run(fleet, 150, 20, seed=seed)[1] for seed in (3, 3, 4))
    assert np.array_equal(first.answered, second.answered)
    assert vars(first).keys() == vars(second).keys()
    assert all(vars(first)[key] == vars(second)[key] for key in vars(first) if key != "answered")
    assert not np.array_equal(first.answered, other.answered)
