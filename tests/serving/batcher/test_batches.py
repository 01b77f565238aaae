"""Which inputs run together, and what becomes of them."""

import asyncio

import pytest

from serving.batcher import Batcher
from serving.errors import Draining
from serving.metrics import Metrics

from .conftest import Engine, encoded, hold

pytestmark = pytest.mark.anyio


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
