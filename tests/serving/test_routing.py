"""Inputs that name no task, below every transport."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from merge_builder.errors import MergeLadderError
from merge_builder.ladder import Ladder, rung_at
from merge_builder.ladder.router import load_router
from serving.engine.engine import load_engine
from serving.engine.tokenize import load_tokenizer
from serving.errors import EmptyText, RequestError, RungTooSmall
from serving.inputs import Text
from serving.routing import SURE, Chooser, load_chooser
from serving.service import Choice, Service
from serving.streaming import stream

from .conftest import with_router

ANT, BEE, CAT, UNSURE = Text("w1 w2 w3"), Text("w31 w32"), Text("w61 w62 w63"), Text("w1 w2 w31 w32 w33")


def chooser_of(ladder: Ladder) -> Chooser:
    found = load_chooser(ladder, load_tokenizer(ladder.base_dir))
    assert found is not None
    return found


@asynccontextmanager
async def serving(ladder: Ladder, index: int) -> AsyncIterator[Service]:
    service = Service(load_engine(ladder, rung_at(ladder.manifest, index)), Choice(budget=None, reason="asked for"))
    await service.start()
    yield service
    await service.aclose()


def counted(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(f"mergeladder_{name}", labels) or 0.0


def test_a_text_goes_to_the_task_of_its_words_or_to_two(routed_ladder: Ladder) -> None:
    routes = chooser_of(routed_ladder).choose([ANT, BEE, CAT, UNSURE])
    assert [route.tasks for route in routes] == [("ant",), ("bee",), ("cat",), ("bee", "ant")]
    assert not any(route.ensemble for route in routes)  # their labels differ
    scores = np.exp([6 * 2 / 7, 6 * 3 / 7, 0])  # with the tokens at both ends there are seven
    expected = scores / scores.sum()
    assert expected[1] < SURE
    np.testing.assert_allclose(list(routes[3].confidences.values()), [expected[1], expected[0]], rtol=1e-6)


def test_where_a_text_goes_does_not_depend_on_its_company(routed_ladder: Ladder) -> None:
    chooser = chooser_of(routed_ladder)
    texts = [Text(" ".join(f"w{word}" for word in own)) for own in np.random.default_rng(0).integers(0, 95, (40, 6))]
    together = chooser.choose(texts)
    assert [route for text in texts for route in chooser.choose([text])] == together
    assert chooser.choose(texts[::-1]) == together[::-1]


def test_two_tasks_of_the_same_labels_answer_as_one(twin_ladder: Ladder) -> None:
    first, second = chooser_of(twin_ladder).choose([Text("w1 w11"), Text("w1 w21")])
    assert (first.tasks, first.ensemble) == (("left", "right"), True)
    assert (second.tasks, second.ensemble) == (("left", "other"), False)


def test_only_tasks_that_take_the_form_of_a_text_are_chosen_from(mixed_ladder: Ladder, tmp_path) -> None:
    """The router knows nothing of these words, so each task that is left gets an equal share."""
    chooser = chooser_of(with_router(mixed_ladder, tmp_path / "routed", words=0))
    plain, pair, blank = chooser.choose([Text("ann"), Text("ann", "ann sings"), Text("ann", " ")])
    assert plain.tasks == ("mood", "names")  # not `find`, which wants a context
    assert pair.tasks == ("mood", "find")  # not `names`, which labels the words of one text
    assert blank.tasks == ("mood", "sense")
    for route, count in ((plain, 3), (pair, 3), (blank, 2)):
        np.testing.assert_allclose(list(route.confidences.values()), 1 / count)


def test_texts_that_cannot_be_read_are_named(routed_ladder: Ladder) -> None:
    chooser = chooser_of(routed_ladder)
    with pytest.raises(EmptyText, match=r"inputs\[5\] has no text"):
        chooser.choose([ANT, Text(" ")], first=4)
    with pytest.raises(RequestError, match="not valid Unicode"):
        chooser.choose([Text("\ud800")])


def test_a_ladder_without_a_router_has_no_chooser(pico_ladder: Ladder) -> None:
    assert load_router(pico_ladder) is None
    assert load_chooser(pico_ladder, load_tokenizer(pico_ladder.base_dir)) is None


def test_a_broken_router_is_refused_when_it_is_loaded(pico_ladder: Ladder, tmp_path) -> None:
    ladder = with_router(pico_ladder, tmp_path / "routed", words=30)
    ladder.router_path.write_bytes(ladder.router_path.read_bytes()[:-4])
    with pytest.raises(MergeLadderError, match="mergeladder verify"):
        load_router(ladder)
    ladder.router_path.unlink()
    with pytest.raises(MergeLadderError, match="cannot be read"):
        load_router(ladder)


@pytest.mark.anyio
async def test_every_rung_gives_texts_to_the_same_tasks(routed_ladder: Ladder) -> None:
    for index in (0, len(routed_ladder.manifest.rungs) - 1):
        async with serving(routed_ladder, index) as service:
            result = await service.predict_each([ANT, UNSURE, CAT], [None] * 3)
            assert [result.routes[place].tasks for place in range(3)] == [("ant",), ("bee", "ant"), ("cat",)]


@pytest.mark.anyio
async def test_chosen_tasks_answer_as_named_ones_do(routed_ladder: Ladder, middle_rung: int) -> None:
    async with serving(routed_ladder, middle_rung) as service:
        named = await service.predict_each([ANT, BEE, UNSURE, CAT], [("ant",), ("cat",), ("bee", "ant"), ("cat",)])
        assert not named.routes
        assert counted(service, "router_confidence_count") == 0
        chosen = await service.predict_each([ANT, BEE, UNSURE, CAT], [None, ("cat",), None, None])
        assert sorted(chosen.routes) == [0, 2, 3]
        assert chosen.places == named.places
        for task, logits in named.logits.items():
            np.testing.assert_allclose(chosen.logits[task], logits, atol=1e-6)
        assert [counted(service, "routed_total", task=task) for task in ("ant", "bee", "cat")] == [1, 1, 1]
        assert counted(service, "router_confidence_count") == 3


@pytest.mark.anyio
async def test_a_chosen_task_keeps_its_floor(routed_ladder: Ladder) -> None:
    smallest = len(routed_ladder.manifest.rungs) - 1
    async with serving(routed_ladder, smallest) as service:
        service.floors = {"ant": routed_ladder.manifest.rungs[1]}
        assert (await service.predict_each([BEE], [None])).places == {"bee": (0,)}
        with pytest.raises(RungTooSmall) as refused:
            await service.predict_each([BEE, ANT], [None, None])
        assert refused.value.least == 1
        service.stream_window = 16  # so that the second half is not read before the first line is taken
        results = stream(service, [BEE] * 40 + [ANT], [None] * 41)
        assert (await anext(results)).places == {"bee": (0,)}
        with pytest.raises(RungTooSmall):
            [result async for result in results]


@pytest.mark.anyio
async def test_a_stream_is_routed_as_it_is_read(routed_ladder: Ladder, middle_rung: int) -> None:
    inputs = [(ANT, BEE, CAT, UNSURE)[place % 4] for place in range(400)]
    tasks = [("cat",) if place % 5 == 0 else None for place in range(400)]
    async with serving(routed_ladder, middle_rung) as service:
        service.stream_window = 64
        results = stream(service, inputs, tasks)
        first = [await anext(results)]
        assert 0 < counted(service, "router_confidence_count") < 200
        lines = first + [result async for result in results]
        assert counted(service, "router_confidence_count") == 320
        for place, line in enumerate(lines):
            if tasks[place]:
                assert (list(line.places), dict(line.routes)) == (["cat"], {})
            else:
                assert line.routes[place].tasks == (("ant",), ("bee",), ("cat",), ("bee", "ant"))[place % 4]
                assert set(line.places) == set(line.routes[place].tasks)
