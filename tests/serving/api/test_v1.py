"""The /v1 routes."""

import asyncio

import httpx
import numpy as np
import pytest

from serving.engine.engine import Engine
from serving.service import Service

pytestmark = pytest.mark.anyio
LONG = " ".join(f"w{n}" for n in range(20))
LABELS = {"ant": ["no", "yes"], "bee": ["low", "mid", "high"], "cat": ["a", "b", "c", "d"]}


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(np.float64(logits))
    return exponentials / exponentials.sum()


async def test_one_task_has_exactly_the_agreed_shape(client: httpx.AsyncClient, ask, engine: Engine) -> None:
    response = await client.post(
        "/v1/tasks/bee/predict",
        json={"inputs": ["w1 w2", {"text": "w3", "text_pair": "w4"}], "parameters": {"return_logits": True}},
        headers={"X-Request-Id": "my-id-7"},
    )
    body = response.json()
    expected = [ask("bee", "w1 w2"), ask("bee", "w3", "w4")]

    assert response.status_code == 200
    assert list(body) == ["id", "task", "model", "predictions", "logits", "usage", "timings_ms"]
    assert (body["id"], body["task"]) == ("my-id-7", "bee")
    assert body["model"] == {
        "ladder": "pico",
        "revision": engine.ladder.manifest.revision,
        "rung": engine.rung.name,
        "ratio": engine.rung.size.ratio,
    }
    np.testing.assert_allclose(body["logits"], expected, atol=1e-5)
    for predictions, logits in zip(body["predictions"], expected, strict=True):
        scores = softmax(logits)
        assert [p["label"] for p in predictions] == [LABELS["bee"][i] for i in np.argsort(-scores)]
        np.testing.assert_allclose([p["score"] for p in predictions], sorted(scores, reverse=True), atol=1e-6)
    assert body["usage"] == {"tokens": 4 + 5, "truncated": 0}
    assert set(body["timings_ms"]) == {"queue", "tokenize", "inference", "total"}


async def test_many_tasks_have_exactly_the_agreed_shape(client: httpx.AsyncClient, ask, engine: Engine) -> None:
    response = await client.post(
        "/v1/predict",
        json={"inputs": [LONG, "w5"], "tasks": ["cat", "bee"], "parameters": {"return_logits": True, "top_k": 1}},
    )
    body = response.json()

    assert response.status_code == 200
    assert list(body) == ["id", "model", "results", "usage", "timings_ms"]
    assert body["model"]["rung"] == engine.rung.name
    assert list(body["results"]) == ["cat", "bee"]
    for task, answer in body["results"].items():
        expected = np.stack([ask(task, LONG), ask(task, "w5")])
        np.testing.assert_allclose(answer["logits"], expected, atol=1e-5)
        assert [[p["label"] for p in one] for one in answer["predictions"]] == [
            [LABELS[task][best]] for best in expected.argmax(axis=1)
        ]
    # both texts once, and the long one again, cut to the 8 tokens of bee
    assert body["usage"] == {"tokens": 22 + 3 + 8, "truncated": 14}


async def test_inputs_that_name_their_own_tasks_are_answered_in_order(client: httpx.AsyncClient, ask) -> None:
    inputs = [LONG, {"text": "w5", "tasks": ["cat", "ant", "cat"]}, {"text": "w6", "text_pair": "w7", "tasks": "all"}]
    parameters = {"return_logits": True, "top_k": 1}
    response = await client.post("/v1/predict", json={"inputs": inputs, "tasks": ["bee"], "parameters": parameters})
    body = response.json()
    asked = [(LONG, None, ["bee"]), ("w5", None, ["cat", "ant"]), ("w6", "w7", ["ant", "bee", "cat"])]

    assert response.status_code == 200
    assert list(body) == ["id", "model", "answers", "usage", "timings_ms"]
    for (text, pair, tasks), answers in zip(asked, body["answers"], strict=True):
        assert set(answers) == set(tasks)
        for task, answer in answers.items():
            expected = ask(task, text, pair)
            np.testing.assert_allclose(answer["logits"], expected, atol=1e-5)
            assert [one["label"] for one in answer["predictions"]] == [LABELS[task][expected.argmax()]]
    assert body["usage"] == {"tokens": 8 + 3 + 5, "truncated": 14}


async def test_where_every_input_names_its_tasks_the_request_need_not(client: httpx.AsyncClient) -> None:
    inputs = [{"text": "w1", "tasks": ["ant"]}, {"text": "w1", "tasks": ["bee"]}]
    body = (await client.post("/v1/predict", json={"inputs": inputs})).json()

    assert [list(answers) for answers in body["answers"]] == [["ant"], ["bee"]]
    assert all(list(answer) == ["predictions"] for answers in body["answers"] for answer in answers.values())


async def test_all_is_every_task_and_logits_come_only_when_asked_for(client: httpx.AsyncClient) -> None:
    body = (await client.post("/v1/predict", json={"inputs": ["w1"], "tasks": "all"})).json()

    assert {task: len(answer["predictions"][0]) for task, answer in body["results"].items()} == {
        task: len(labels) for task, labels in LABELS.items()
    }
    assert all(list(answer) == ["predictions"] for answer in body["results"].values())


async def test_concurrent_requests_get_their_own_answers(client: httpx.AsyncClient, ask) -> None:
    asked = [(task, f"w{n} w{3 * n % 90} w{n + 1}") for n, task in enumerate(["ant", "bee", "cat"] * 8)]
    parameters = {"return_logits": True}
    responses = await asyncio.gather(
        *(client.post(f"/v1/tasks/{t}/predict", json={"inputs": [x], "parameters": parameters}) for t, x in asked)
    )

    for (task, text), response in zip(asked, responses, strict=True):
        np.testing.assert_allclose(response.json()["logits"][0], ask(task, text), atol=1e-5)


async def test_the_headers_tell_the_rung_the_id_and_the_times(client: httpx.AsyncClient, engine: Engine) -> None:
    response = await client.post("/v1/tasks/ant/predict", json={"inputs": ["w1"]})

    assert response.headers["X-MergeLadder-Rung"] == engine.rung.name
    assert response.headers["X-Request-Id"] == response.json()["id"]
    told = dict(part.split(";dur=") for part in response.headers["Server-Timing"].split(", "))
    assert {stage: float(ms) for stage, ms in told.items()} == response.json()["timings_ms"]


async def test_json_is_read_whatever_its_content_type(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d sends
    response = await client.post("/v1/tasks/ant/predict", content=b'{"inputs": ["w1"]}', headers=headers)

    assert response.status_code == 200


async def test_min_rung_takes_what_model_rung_tells(client: httpx.AsyncClient) -> None:
    body = {"inputs": ["w1"]}
    told = (await client.post("/v1/tasks/ant/predict", json=body)).json()["model"]["rung"]
    again = await client.post("/v1/tasks/ant/predict", json=body | {"parameters": {"min_rung": told}})

    assert again.status_code == 200


async def test_tasks(client: httpx.AsyncClient) -> None:
    lengths = {"ant": 40, "bee": 8, "cat": 40}

    assert (await client.get("/v1/tasks")).json() == {
        "tasks": [
            {"name": t, "kind": "classification", "labels": labels, "max_length": lengths[t]}
            for t, labels in LABELS.items()
        ]
    }


async def test_ladder(client: httpx.AsyncClient, service: Service, engine: Engine) -> None:
    body = (await client.get("/v1/ladder")).json()
    manifest = engine.ladder.manifest
    rungs = [{"rung": f"#{r.index}", "index": r.index, "ratio": r.ratio, "bytes": r.bytes} for r in manifest.rungs]

    assert body == {
        "name": "pico",
        "revision": manifest.revision,
        "method": {"name": "average", "parameters": {}},
        "tasks": ["ant", "bee", "cat"],
        "rungs": rungs,
        "current": rungs[engine.rung.size.index],
        "budget": 123456789,
        "reason": service.choice.reason,
    }
