"""The batcher, over a run function that computes something real and can be held up."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from merge_builder.ladder import Ladder, Rung, rung_at
from serving.batcher import Batcher
from serving.engine.types import BatchOutput, Encoded
from serving.errors import DeadlineExceeded, Draining, Overloaded
from serving.metrics import Metrics

pytestmark = pytest.mark.anyio


def encoded(*ids: int, tasks: tuple[str, ...] = ("ant",)) -> Encoded:
    return Encoded(ids, (0,) * len(ids), tasks)


@dataclass
class Engine:
    """Adds up the token ids; waits while `open` is not set; refuses a batch that holds token 13."""

    rung: Rung
    open: threading.Event = field(default_factory=threading.Event)
    batches: list[list[Encoded]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    def run(self, batch: Sequence[Encoded]) -> BatchOutput:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.batches.append(list(batch))
        self.open.wait(10)
        self.running -= 1
        if any(13 in item.input_ids for item in batch):
            raise ValueError("thirteen")
        logits = tuple({task: np.float32([sum(item.input_ids)]) for task in item.tasks} for item in batch)
        return BatchOutput(logits, self.rung, sum(len(item.input_ids) for item in batch), 0)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["ant", "bee"])


@pytest.fixture
def engine(pico_ladder: Ladder) -> Engine:
    engine = Engine(rung_at(pico_ladder.manifest, 3))
    engine.open.set()
    return engine


@pytest.fixture
async def batcher(engine: Engine, metrics: Metrics) -> AsyncIterator[Batcher]:
    batcher = Batcher(engine.run, max_batch_tokens=8, max_queued_tokens=20, metrics=metrics)
    yield batcher
    engine.open.set()
    await batcher.aclose()


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def hold(engine: Engine, batcher: Batcher) -> asyncio.Future:
    """Make the engine busy with one input until it is opened."""
    engine.open.clear()
    first = batcher.submit(encoded(1))
    await until(lambda: engine.running)
    return first


async def test_a_lone_request_is_answered_at_once(batcher: Batcher, engine: Engine) -> None:
    answer = await batcher.submit(encoded(1, 2, 3, tasks=("ant", "bee")))

    assert {task: logits.tolist() for task, logits in answer.logits.items()} == {"ant": [6.0], "bee": [6.0]}
    assert answer.rung is engine.rung
    assert 0 <= answer.queue_s < 1
    assert answer.inference_s >= 0


async def test_an_idle_engine_is_not_kept_waiting_for_company(
    batcher: Batcher, engine: Engine, metrics: Metrics
) -> None:
    for number in range(3):  # also the ones that come after others were answered
        answer = batcher.submit(encoded(number))
        await asyncio.sleep(0)  # one turn of the loop, in which no timer can run out
        assert metrics.registry.get_sample_value("mergeladder_queue_depth") == 0
        await answer
        await asyncio.sleep(0.01)
    assert engine.batches == [[encoded(number)] for number in range(3)]


async def test_batches_form_while_the_engine_is_busy_in_order_and_within_the_budget(
    batcher: Batcher, engine: Engine
) -> None:
    first = await hold(engine, batcher)
    inputs = [encoded(*range(n)) for n in (3, 5, 4, 4, 1)]
    futures = [batcher.submit(item) for item in inputs]
    engine.open.set()
    answers = await asyncio.gather(first, *futures)

    assert engine.batches[1:] == [inputs[:2], inputs[2:4], inputs[4:]]
    assert [answer.logits["ant"].item() for answer in answers] == [1, 3, 10, 6, 6, 0]
    assert engine.most_running == 1


async def test_an_input_costs_its_length_for_each_of_its_tasks(batcher: Batcher, engine: Engine) -> None:
    first = await hold(engine, batcher)
    inputs = [encoded(1, 2, 3, tasks=("ant", "bee")), encoded(1, 2, 3)]
    futures = [batcher.submit(item) for item in inputs]
    engine.open.set()
    await asyncio.gather(first, *futures)

    assert engine.batches[1:] == [[inputs[0]], [inputs[1]]]


async def test_an_input_larger_than_any_batch_runs_alone(batcher: Batcher, engine: Engine) -> None:
    first = await hold(engine, batcher)
    inputs = [encoded(*range(12)), encoded(1), encoded(2)]
    futures = [batcher.submit(item) for item in inputs]
    engine.open.set()
    answers = await asyncio.gather(first, *futures)

    assert engine.batches[1:] == [inputs[:1], inputs[1:]]
    assert answers[1].logits["ant"].item() == 66


async def test_a_full_queue_is_an_error_that_tells_when_to_come_back(batcher: Batcher, engine: Engine) -> None:
    first = await hold(engine, batcher)
    futures = [batcher.submit(encoded(*range(8))) for _ in range(2)]
    with pytest.raises(Overloaded) as refused:
        batcher.submit(encoded(*range(5)))
    fits = batcher.submit(encoded(*range(4)))
    engine.open.set()
    await asyncio.gather(first, *futures, fits)

    assert 1 <= refused.value.retry_after_s <= 30
    assert sum(len(batch) for batch in engine.batches) == 4


async def test_retry_after_is_what_the_queue_takes_at_the_recent_speed(engine: Engine, metrics: Metrics) -> None:
    batcher = Batcher(engine.run, max_batch_tokens=1, max_queued_tokens=50, metrics=metrics)
    engine.open.clear()
    slow, started = batcher.submit(encoded(*range(5))), time.perf_counter()
    await asyncio.sleep(1)
    engine.open.set()
    await slow
    slowest = time.perf_counter() - started
    await hold(engine, batcher)
    for _ in range(5):
        batcher.submit(encoded(*range(10)))
    with pytest.raises(Overloaded) as refused:
        batcher.submit(encoded(1))
    engine.open.set()
    await batcher.aclose()

    # 5 tokens took between 1 s and `slowest`, 50 tokens wait; the jitter adds a quarter
    assert 10 <= refused.value.retry_after_s <= min(30, 12.5 * slowest + 1)


async def test_a_flood_of_one_task_does_not_hold_up_another(engine: Engine, metrics: Metrics) -> None:
    batcher = Batcher(engine.run, max_batch_tokens=512, max_queued_tokens=100_000, metrics=metrics)
    first = await hold(engine, batcher)
    flood = [batcher.submit(encoded(*[n] * 64)) for n in range(100, 600)]
    singles = [batcher.submit(encoded(*[n] * 64, tasks=("bee",))) for n in range(2)]
    engine.open.set()
    await asyncio.gather(first, *flood, *singles)
    order = [item for batch in engine.batches[1:] for item in batch]
    places = [place for place, item in enumerate(order) if item.tasks == ("bee",)]
    await batcher.aclose()

    assert max(places) < 3 * 256 // 64  # within three turns of 256 tokens, behind a flood of 125
    ants = [item.input_ids[0] for item in order if item.tasks == ("ant",)]
    assert ants == sorted(ants)


async def test_turns_are_counted_in_tokens(engine: Engine, metrics: Metrics) -> None:
    batcher = Batcher(engine.run, max_batch_tokens=512, max_queued_tokens=100_000, metrics=metrics)
    first = await hold(engine, batcher)
    long = [batcher.submit(encoded(*[1] * 256)) for _ in range(40)]
    short = [batcher.submit(encoded(*[1] * 16, tasks=("bee", "ant"))) for _ in range(320)]
    engine.open.set()
    await asyncio.gather(first, *long, *short)
    order = [item for batch in engine.batches[1:] for item in batch]
    await batcher.aclose()

    spent = {"ant": 0, "bee": 0}
    for item in order[: len(order) // 2]:
        spent[item.tasks[0]] += len(item.input_ids) * len(item.tasks)
        assert abs(spent["ant"] - spent["bee"]) <= 3 * 256


async def test_a_full_queue_makes_room_for_another_task_at_the_floods_cost(
    batcher: Batcher, engine: Engine, metrics: Metrics
) -> None:
    first = await hold(engine, batcher)
    flood = [batcher.submit(encoded(*range(5))) for _ in range(4)]
    single = batcher.submit(encoded(7, 7, tasks=("bee",)))
    with pytest.raises(Overloaded):
        batcher.submit(encoded(1, 2, 3, 4))
    with pytest.raises(Overloaded):
        batcher.submit(encoded(*range(14), tasks=("bee",)))
    engine.open.set()
    results = await asyncio.gather(first, *flood, single, return_exceptions=True)

    assert [isinstance(result, Overloaded) for result in results] == [False, False, False, False, True, False]
    assert metrics.registry.get_sample_value("mergeladder_queue_depth") == 0


async def test_those_who_are_refused_at_once_do_not_return_at_once(batcher: Batcher, engine: Engine) -> None:
    await hold(engine, batcher)
    batcher.submit(encoded(*range(20)))
    told = []
    for _ in range(60):
        with pytest.raises(Overloaded) as refused:
            batcher.submit(encoded(1))
        told.append(refused.value.retry_after_s)
    assert set(told) == {1, 2}


async def paced(engine: Engine, metrics: Metrics) -> Batcher:
    """A batcher with large batches that knows an engine which takes a tenth of a second, at least, for each token."""
    batcher = Batcher(engine.run, max_batch_tokens=100, max_queued_tokens=1000, metrics=metrics)
    engine.open.clear()
    slow = batcher.submit(encoded(*range(5)))
    await asyncio.sleep(0.5)
    engine.open.set()
    await slow
    return batcher


async def test_a_request_is_refused_at_once_for_what_is_ahead_of_it(engine: Engine, metrics: Metrics) -> None:
    batcher = await paced(engine, metrics)
    first = await hold(engine, batcher)
    waiting = [batcher.submit(encoded(*range(10))) for _ in range(4)]  # four seconds, or more
    now = time.perf_counter()
    with pytest.raises(Overloaded, match="ahead") as refused:
        batcher.check_time([encoded(1)], now + 3)
    with pytest.raises(Overloaded):
        batcher.check_time([encoded(*range(5))] * 2, now + 3)
    with pytest.raises(DeadlineExceeded, match="takes"):
        batcher.check_time([encoded(*range(5))] * 8, now + 3)
    batcher.check_time([encoded(1)], now + 1000)
    batcher.check_time([encoded(1, tasks=("bee",))], now + 3)  # its turn comes before the others are done
    engine.open.set()
    await asyncio.gather(first, *waiting)
    await batcher.aclose()

    assert 3 <= refused.value.retry_after_s <= 30


async def test_what_would_be_late_at_its_turn_fails_then_and_is_never_computed(
    engine: Engine, metrics: Metrics
) -> None:
    batcher = await paced(engine, metrics)
    first = await hold(engine, batcher)
    due = time.perf_counter() + 0.9
    kept, late = batcher.submit(encoded(2)), batcher.submit(encoded(*[1] * 10), due)
    engine.open.set()
    with pytest.raises(DeadlineExceeded):
        await late
    failed = time.perf_counter()
    await asyncio.gather(first, kept)
    await batcher.aclose()

    assert failed < due
    assert engine.batches[1:] == [[encoded(1)], [encoded(2)]]
    assert metrics.registry.get_sample_value("mergeladder_cancelled_total", {"stage": "late"}) == 1
    assert metrics.registry.get_sample_value("mergeladder_queue_depth") == 0


async def test_nobody_is_made_late_by_those_who_share_its_batch(engine: Engine, metrics: Metrics) -> None:
    batcher = await paced(engine, metrics)
    first = await hold(engine, batcher)
    inputs = [encoded(7), encoded(*[1] * 60), encoded(8)]
    deadlines = [time.perf_counter() + 5, math.inf, math.inf]
    futures = [batcher.submit(item, deadline) for item, deadline in zip(inputs, deadlines, strict=True)]
    engine.open.set()
    await asyncio.gather(first, *futures)
    await batcher.aclose()

    assert engine.batches[2:] == [inputs[:1], inputs[1:]]


async def test_an_idle_engine_is_tried_however_slow_it_was(engine: Engine, metrics: Metrics) -> None:
    batcher = await paced(engine, metrics)
    item, due = encoded(*[1] * 90), time.perf_counter() + 5
    batcher.check_time([item], due)

    assert (await batcher.submit(item, due)).logits["ant"].item() == 90
    await batcher.aclose()


async def test_cancelled_work_is_dropped_before_it_is_batched(
    batcher: Batcher, engine: Engine, metrics: Metrics
) -> None:
    first = await hold(engine, batcher)
    kept, dropped = batcher.submit(encoded(2)), batcher.submit(encoded(3))
    waiter = asyncio.ensure_future(_wait(dropped))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    engine.open.set()
    await asyncio.gather(first, kept)

    assert engine.batches == [[encoded(1)], [encoded(2)]]
    assert metrics.registry.get_sample_value("mergeladder_cancelled_total", {"stage": "queue"}) == 1
    assert metrics.registry.get_sample_value("mergeladder_queue_depth") == 0


async def _wait(future: asyncio.Future) -> None:
    await future


async def test_what_is_cancelled_while_it_is_computed_harms_nobody(
    batcher: Batcher, engine: Engine, metrics: Metrics
) -> None:
    first = await hold(engine, batcher)
    first.cancel()
    second = batcher.submit(encoded(5))
    engine.open.set()

    assert (await second).logits["ant"].item() == 5
    assert metrics.registry.get_sample_value("mergeladder_cancelled_total", {"stage": "inference"}) == 1


async def test_a_failed_batch_fails_its_own_submitters_only(batcher: Batcher, engine: Engine) -> None:
    first = await hold(engine, batcher)
    doomed = [batcher.submit(encoded(13)), batcher.submit(encoded(*range(6)))]
    later = batcher.submit(encoded(*range(8)))
    engine.open.set()
    results = await asyncio.gather(first, *doomed, later, return_exceptions=True)

    assert [isinstance(result, ValueError) for result in results] == [False, True, True, False]
    assert (await batcher.submit(encoded(4))).logits["ant"].item() == 4


async def test_closing_answers_what_is_queued_and_takes_nothing_new(engine: Engine, metrics: Metrics) -> None:
    batcher = Batcher(engine.run, max_batch_tokens=4, max_queued_tokens=100, metrics=metrics)
    futures = [batcher.submit(encoded(n, n)) for n in range(5)]
    await batcher.aclose()

    assert [future.result().logits["ant"].item() for future in futures] == [0, 2, 4, 6, 8]
    with pytest.raises(Draining):
        batcher.submit(encoded(1))


async def test_what_is_measured(batcher: Batcher, engine: Engine, metrics: Metrics) -> None:
    first = await hold(engine, batcher)
    futures = [batcher.submit(encoded(1, 2, tasks=("bee",))), batcher.submit(encoded(1, tasks=("ant", "bee")))]
    value = metrics.registry.get_sample_value
    assert value("mergeladder_queue_depth") == 2
    engine.open.set()
    await asyncio.gather(first, *futures)

    assert value("mergeladder_queue_depth") == 0
    assert value("mergeladder_queue_duration_seconds_count") == 3
    assert value("mergeladder_inference_duration_seconds_count", {"rung": "#3"}) == 2
    assert value("mergeladder_batch_size_sum") == 3
    assert value("mergeladder_batch_tokens_sum") == 4
    assert value("mergeladder_batch_tasks_sum") == 1 + 2
    assert value("mergeladder_reconstruct_duration_seconds_count", {"rung": "#3"}) is None  # nothing is masked


async def test_reconstruction_is_measured_where_versions_are_masked(engine: Engine, metrics: Metrics) -> None:
    block, versions = next(iter(engine.rung.versions.items()))
    masked = replace(engine.rung, bases={block: versions["ant"]})
    batcher = Batcher(
        lambda batch: replace(engine.run(batch), rung=masked, reconstruct_s=0.25),
        max_batch_tokens=8,
        max_queued_tokens=20,
        metrics=metrics,
    )
    await batcher.submit(encoded(1))
    await batcher.aclose()

    value = metrics.registry.get_sample_value
    assert value("mergeladder_reconstruct_duration_seconds_sum", {"rung": "#3"}) == 0.25
