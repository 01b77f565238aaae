"""Requests that leave the choice of the task to the ladder's router, over HTTP."""

import json
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest

from merge_builder.ladder import Ladder, rung_at
from serving.api.app import create_app
from serving.api.page import render
from serving.client import AsyncClient
from serving.engine.engine import load_engine
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
TEXTS = ["w1 w2 w3", "w1 w2 w31 w32 w33", "w61 w62"]


@pytest.fixture
async def routed(routed_ladder: Ladder, middle_rung: int) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(routed_ladder, middle_rung) as client:
        yield client


@pytest.fixture
async def twins(twin_ladder: Ladder) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(twin_ladder, 0) as client:
        yield client


def _client(ladder: Ladder, rung: int) -> httpx.AsyncClient:
    service = Service(load_engine(ladder, rung_at(ladder.manifest, rung)), Choice(budget=None, reason="asked for"))
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(service)), base_url="http://test")


async def ask(client: httpx.AsyncClient, **body: object) -> dict:
    response = await client.post("/v1/predict", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_every_input_is_answered_by_its_task_with_a_confidence(routed: httpx.AsyncClient) -> None:
    answer = await ask(routed, inputs=TEXTS, tasks="auto")
    assert list(answer) == ["id", "model", "answers", "usage", "timings_ms"]
    assert [list(own) for own in answer["answers"]] == [["ant"], ["bee", "ant"], ["cat"]]
    confidences = [[one["confidence"] for one in own.values()] for own in answer["answers"]]
    assert confidences[0][0] > 0.9
    assert 0.8 > confidences[1][0] > confidences[1][1] > 0.1
    assert all(set(one) == {"predictions", "confidence"} for own in answer["answers"] for one in own.values())
    named = await ask(routed, inputs=TEXTS, tasks="all")
    for place, own in enumerate(answer["answers"]):
        for task, one in own.items():
            plain = named["results"][task]["predictions"][place]
            assert [p["label"] for p in one["predictions"]] == [p["label"] for p in plain]
            np.testing.assert_allclose([p["score"] for p in one["predictions"]], [p["score"] for p in plain], atol=1e-6)


async def test_an_input_may_leave_the_choice_where_others_name_tasks(routed: httpx.AsyncClient) -> None:
    inputs = [{"text": "w1 w2 w3", "tasks": "auto"}, "w1 w2 w3", {"text": "w61 w62", "tasks": ["bee"]}]
    answers = (await ask(routed, inputs=inputs, tasks=["cat"]))["answers"]
    assert [list(own) for own in answers] == [["ant"], ["cat"], ["bee"]]
    assert ["confidence" in one for own in answers for one in own.values()] == [True, False, False]


async def test_lines_are_routed_too(routed: httpx.AsyncClient) -> None:
    body = {"inputs": TEXTS, "tasks": "auto", "parameters": {"top_k": 1}}
    response = await routed.post("/v1/predict", json=body, headers={"Accept": "application/x-ndjson"})
    *lines, last = map(json.loads, response.text.splitlines())
    whole = (await ask(routed, **body))["answers"]
    assert [line["index"] for line in lines] == [0, 1, 2]
    assert set(last) == {"id", "model", "usage", "timings_ms"}
    for line, own in zip(lines, whole, strict=True):
        assert list(line["answers"]) == list(own)
        for task, one in line["answers"].items():
            assert one["confidence"] == own[task]["confidence"]
            assert one["predictions"][0]["label"] == own[task]["predictions"][0]["label"]


async def test_two_tasks_of_the_same_labels_are_weighed_into_one_answer(twins: httpx.AsyncClient) -> None:
    text, parameters = "w1 w2 w3 w11 w12", {"return_logits": True}
    [answer] = (await ask(twins, inputs=[text], tasks="auto", parameters=parameters))["answers"]
    assert list(answer) == ["left"]
    one = answer["left"]
    weights = one["ensemble"]
    assert list(weights) == ["left", "right"]
    assert one["confidence"] == pytest.approx(sum(weights.values()))
    named = (await ask(twins, inputs=[text], tasks=["left", "right"]))["results"]
    share = {task: {p["label"]: p["score"] for p in own["predictions"][0]} for task, own in named.items()}
    for prediction in one["predictions"]:
        expected = sum(weights[task] * share[task][prediction["label"]] for task in weights) / one["confidence"]
        assert prediction["score"] == pytest.approx(expected, abs=1e-6)
    scores = np.exp(one["logits"]) / np.exp(one["logits"]).sum()
    assert {p["label"]: pytest.approx(p["score"], abs=1e-6) for p in one["predictions"]} == dict(
        zip(("bad", "good"), scores, strict=True)
    )
    [apart] = (await ask(twins, inputs=["w1 w21"], tasks="auto"))["answers"]
    assert list(apart) == ["left", "other"]
    assert not any("ensemble" in own for own in apart.values())


async def test_the_ladder_and_the_interface_tell_of_the_router(
    routed: httpx.AsyncClient, client: httpx.AsyncClient, routed_ladder: Ladder
) -> None:
    entry = routed_ladder.manifest.router
    told = (await routed.get("/v1/ladder")).json()["router"]
    assert told == {"accuracy": entry.accuracy, "interval": list(entry.interval), "chance": 1 / 3}
    assert "router" not in (await client.get("/v1/ladder")).json()
    schemas = (await routed.get("/openapi.json")).json()["components"]["schemas"]
    [example] = [one for one in schemas["TasksRequest"]["examples"] if one.get("tasks") == "auto"]
    assert len((await ask(routed, **example))["answers"]) == len(example["inputs"])
    [mixed] = schemas["MixedResponse"]["examples"]
    assert all("confidence" in one for own in mixed["answers"] for one in own.values())
    assert "Let the router choose" in render(routed_ladder.manifest, "text")


async def test_metrics_count_chosen_tasks_and_no_other_names(routed: httpx.AsyncClient) -> None:
    await ask(routed, inputs=TEXTS, tasks="auto")
    await routed.post("/v1/predict", json={"inputs": [" "], "tasks": "auto"})
    metrics = (await routed.get("/metrics")).text
    for task in ("ant", "bee", "cat"):
        assert f'mergeladder_requests_total{{code="200",task="{task}"}} 1.0' in metrics
        assert f'mergeladder_routed_total{{task="{task}"}} 1.0' in metrics
    assert 'mergeladder_requests_total{code="422",task="other"} 1.0' in metrics
    assert 'mergeladder_memory_used_bytes{kind="router"} 1212.0' in metrics


async def test_the_client_asks_for_it(serve, routed_ladder: Ladder, middle_rung: int) -> None:
    engine = load_engine(routed_ladder, rung_at(routed_ladder.manifest, middle_rung))
    url = serve(create_app(Service(engine, Choice(budget=None, reason="asked for"))))
    async with AsyncClient(url) as client:
        answers = (await client.predict_each(TEXTS, "auto", top_k=1)).answers
        assert [list(own) for own in answers] == [["ant"], ["bee", "ant"], ["cat"]]
        assert answers[0]["ant"].confidence > 0.9
        lines = [line async for line in client.stream(TEXTS, "auto", top_k=1)]
        assert [line.answers for line in lines] == answers
        assert (await client.ladder()).router.chance == 1 / 3
