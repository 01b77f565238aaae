"""The service over the real engine of a pico ladder."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from merge_builder.ladder import Ladder, rung_at
from serving.engine.engine import Engine, load_engine
from serving.engine.types import BatchOutput, Encoded
from serving.errors import Draining, Overloaded, RequestError, RequestTooLarge, RungTooSmall, UnknownTask
from serving.inputs import Ids, ImageFile, Text
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
CHOICE = Choice(budget=None, reason="asked for")
LONG = " ".join(f"w{n}" for n in range(20))
TEXTS = [Text("w1 w2 w3"), Text(LONG), Text("w4", "w5 w6"), Text("w7")]


def asked_directly(engine: Engine, text: Text, task: str) -> np.ndarray:
    [ids] = engine.tokenizer.encode([text.text], [text.pair], max_length=engine.max_length(task), truncate=True)
    output = engine.run([Encoded(ids.input_ids, ids.token_type_ids, (task,))])
    return output.logits[0][task]


async def test_every_task_answers_every_input_in_order(service: Service, engine: Engine) -> None:
    result = await service.predict(TEXTS, ["bee", "cat"])

    assert list(result.logits) == ["bee", "cat"]
    for task, logits in result.logits.items():
        expected = np.stack([asked_directly(engine, text, task) for text in TEXTS])
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert result.rung.name == engine.rung.name
    # 5 + 22 + 6 + 3 tokens, and the long text a second time, cut to the 8 tokens that bee takes
    assert result.tokens == 36 + 8
    assert result.truncated == 22 - 8


async def test_ids_and_the_text_they_come_from_have_one_answer(service: Service) -> None:
    ids = await service.predict([Ids((2, 6, 7, 3))], ["ant"])
    text = await service.predict([Text("w1 w2")], ["ant"])

    np.testing.assert_allclose(ids.logits["ant"], text.logits["ant"], atol=1e-6)


async def test_timings_add_up(service: Service) -> None:
    timings = (await service.predict(TEXTS, ["ant"])).timings

    assert min(timings.tokenize, timings.inference) > 0
    assert timings.queue + timings.tokenize + timings.inference <= timings.total


async def test_concurrent_requests_share_batches_and_keep_their_own_answers(service: Service, engine: Engine) -> None:
    texts = [Text(f"w{n} w{n + 1}") for n in range(40)]
    tasks = ["ant", "bee", "cat"]
    asked = [(text, tasks[place % 3]) for place, text in enumerate(texts)]
    results = await asyncio.gather(*(service.predict([text], [task]) for text, task in asked))

    for (text, task), result in zip(asked, results, strict=True):
        np.testing.assert_allclose(result.logits[task][0], asked_directly(engine, text, task), atol=1e-5)
    batches = service.metrics.registry.get_sample_value("mergeladder_batch_size_count")
    assert batches < len(texts)


class Swapping(Engine):
    """Goes one rung down after its first batch."""

    def run(self, batch: Sequence[Encoded]) -> BatchOutput:
        output = super().run(batch)
        if output.rung.size.index == 0:
            self.swap(rung_at(self.ladder.manifest, len(self.ladder.manifest.rungs) - 1))
        return output


async def test_one_request_is_answered_by_one_rung_even_if_it_changes_on_the_way(pico_ladder: Ladder) -> None:
    first, last = rung_at(pico_ladder.manifest, 0), rung_at(pico_ladder.manifest, len(pico_ladder.manifest.rungs) - 1)
    service = Service(Swapping(**vars(load_engine(pico_ladder, first))), CHOICE, max_batch_tokens=8)
    result = await service.predict(TEXTS, ["cat"])
    await service.aclose()

    assert result.rung.name == last.name
    small = load_engine(pico_ladder, last)
    np.testing.assert_allclose(result.logits["cat"], [asked_directly(small, text, "cat") for text in TEXTS], atol=1e-5)


async def test_a_rung_that_became_too_small_on_the_way_is_refused(pico_ladder: Ladder) -> None:
    engine = Swapping(**vars(load_engine(pico_ladder, rung_at(pico_ladder.manifest, 0))))
    service = Service(engine, CHOICE, max_batch_tokens=8)
    with pytest.raises(RungTooSmall):
        await service.predict(TEXTS, ["cat"], min_rung="3.0")
    await service.aclose()


async def test_the_padding_that_the_batch_is_spared(engine: Engine) -> None:
    service = Service(engine, CHOICE)
    await service.predict([Text(LONG), Text("w1"), Text("w2")], ["ant"])
    value = service.metrics.registry.get_sample_value
    await service.aclose()

    # 22, 3 and 3 tokens would be padded to three times 22
    assert value("mergeladder_batch_padding_ratio_sum") == pytest.approx(1 - 28 / 66)
    assert value("mergeladder_batch_padding_ratio_count") == 1


async def test_min_rung(service: Service, middle_rung: int) -> None:
    ratio = service.engine.rung.size.ratio
    for met in (f"#{middle_rung}", f"#{middle_rung + 1}", f"{ratio + 0.001:.3f}", "1.0"):
        await service.predict(TEXTS, ["ant"], min_rung=met)
    for unmet in (f"#{middle_rung - 1}", "3"):
        with pytest.raises(RungTooSmall, match=f"current rung is #{middle_rung}"):
            await service.predict(TEXTS, ["ant"], min_rung=unmet)
    for no_rung in ("#99", "big", "0.5"):
        with pytest.raises(RequestError, match=no_rung) as caught:
            await service.predict(TEXTS, ["ant"], min_rung=no_rung)
        assert caught.value.param == "parameters.min_rung"


async def test_an_unknown_task_is_told_with_the_nearest(service: Service) -> None:
    with pytest.raises(UnknownTask, match=r"no task 'bees'.*did you mean 'bee'"):
        await service.predict(TEXTS, ["ant", "bees"])
    with pytest.raises(UnknownTask, match="it has ant, bee, cat"):
        await service.predict(TEXTS, ["zzzzzz"])


async def test_a_bad_id_fails_its_own_request_and_not_its_batch(service: Service) -> None:
    good = service.predict([Text("w1")], ["ant"])
    bad = service.predict([Ids((2, 3)), Ids((2, 100, 3))], ["ant"])
    results = await asyncio.gather(good, bad, return_exceptions=True)

    assert results[0].logits["ant"].shape == (1, 2)
    assert isinstance(results[1], RequestError)
    assert results[1].param == "inputs[1]"


async def test_a_request_larger_than_the_queue_is_no_overload(engine: Engine) -> None:
    service = Service(engine, CHOICE, max_queued_tokens=30)
    with pytest.raises(RequestTooLarge, match="44 tokens over its tasks and at most 30"):
        await service.predict([Text(LONG)], ["ant", "cat"])
    await service.aclose()


async def test_a_refused_request_leaves_nothing_in_the_queue(engine: Engine) -> None:
    service = Service(engine, CHOICE, max_batch_tokens=1, max_queued_tokens=30)
    results = await asyncio.gather(
        *(service.predict([Text("w1"), Text("w2 w3")], ["ant"]) for _ in range(12)), return_exceptions=True
    )
    value = service.metrics.registry.get_sample_value
    refused = [result for result in results if isinstance(result, Overloaded)]
    answered = [result for result in results if not isinstance(result, Exception)]
    await service.aclose()

    assert refused
    assert len(refused) + len(answered) == 12
    assert value("mergeladder_inputs_total", {"task": "ant"}) == 2 * len(answered)
    assert value("mergeladder_batch_size_sum") == 2 * len(answered)
    assert value("mergeladder_queue_depth") == 0


async def test_it_is_ready_from_its_first_inference_to_its_closing(engine: Engine) -> None:
    service = Service(engine, CHOICE)
    assert not service.ready
    await service.start()
    assert service.ready
    assert service.metrics.registry.get_sample_value("mergeladder_batch_tasks_sum") == 3
    await service.aclose()
    assert not service.ready
    with pytest.raises(Draining):
        await service.predict(TEXTS, ["ant"])


async def test_what_is_counted(engine: Engine) -> None:
    service = Service(engine, CHOICE)
    await service.predict([Text(LONG), Text("w1")], ["ant", "bee"])
    value = service.metrics.registry.get_sample_value
    await service.aclose()

    assert [value("mergeladder_inputs_total", {"task": task}) for task in ("ant", "bee", "cat")] == [2, 2, None]
    assert [value("mergeladder_tokens_total", {"task": task}) for task in ("ant", "bee")] == [22 + 3, 8 + 3]
    assert value("mergeladder_tokenize_duration_seconds_count") == 1


async def test_an_image_is_no_input_of_texts(service: Service) -> None:
    with pytest.raises(RequestError, match=r"inputs\[2\] is an image, and this ladder's tasks take texts") as refused:
        await service.predict([*TEXTS[:2], ImageFile(b"..."), TEXTS[3]], ["ant"])
    assert refused.value.param == "inputs[2]"
