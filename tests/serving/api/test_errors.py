"""Bad requests, one by one: the code, the type, and that the message names the offending thing."""

import asyncio
import dataclasses
import gzip
import json
import logging

import httpx
import pytest

from serving.api.app import create_app
from serving.engine.engine import Engine
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
LONG = " ".join(f"w{n}" for n in range(20))
ONE = "/v1/tasks/bee/predict"
MANY = "/v1/predict"


def v1(parameters: dict | None = None, **body: object) -> bytes:
    return json.dumps({"inputs": ["w1"]} | body | ({"parameters": parameters} if parameters else {})).encode()


BAD = [
    # path, body, status, type, param, what the message names
    ("/v1/tasks/bees/predict", v1(), 404, "unknown_task", "task", "'bees' (did you mean 'bee'?)"),
    (MANY, v1(tasks=["ant", "zzzzz"]), 404, "unknown_task", "tasks[1]", "'zzzzz': it has ant, bee, cat"),
    (ONE, b'{"inputs": ["w1"', 400, "malformed_json", None, "column 16"),
    (ONE, b"", 400, "malformed_json", None, "not JSON"),
    (ONE, b'{"inputs": ["\xff"]}', 400, "malformed_json", None, "unicode"),
    (ONE, b'{"inputs": ["\\ud800"]}', 400, "malformed_json", None, "column"),
    (ONE, b"[" * 2000 + b"]" * 2000, 400, "malformed_json", None, "recursion"),
    (ONE, b'{"inputs":' * 300, 400, "malformed_json", None, "recursion"),
    (ONE, b"[" * 4000, 400, "malformed_json", None, "recursion"),
    (ONE, b"[]", 422, "invalid_request", None, "the body"),
    (ONE, b"{}", 422, "invalid_request", "inputs", "inputs: is missing"),
    (ONE, v1(inputs=[]), 422, "invalid_request", "inputs", "inputs: "),
    (ONE, v1(inputs="w1"), 422, "invalid_request", "inputs", "inputs: should be a list"),
    (ONE, v1(inputs=["w1", 5]), 422, "invalid_request", "inputs[1]", 'inputs[1]: should be a text, {"text"'),
    (ONE, v1(inputs=[{"txt": "w1"}]), 422, "invalid_request", "inputs[0].text", "inputs[0].txt: is not a known key"),
    (ONE, v1(inputs=[{"text": None}]), 422, "invalid_request", "inputs[0].text", "inputs[0].text: "),
    (ONE, v1(input=["w1"]), 422, "invalid_request", "input", "input: is not a known key"),
    (ONE, v1({"top_k": 0}), 422, "invalid_request", "parameters.top_k", "parameters.top_k: "),
    (ONE, v1({"topk": 1}), 422, "invalid_request", "parameters.topk", "parameters.topk: is not a known key"),
    (ONE, v1({"min_rung": "big"}), 422, "invalid_request", "parameters.min_rung", "'big' is not a rung"),
    (ONE, v1({"min_rung": "#0"}), 503, "rung_too_small", "parameters.min_rung", "at least #0 (3.000x)"),
    (ONE, v1(inputs=["w1", ""]), 422, "empty_text", "inputs[1]", "inputs[1] has no text"),
    (ONE, v1(inputs=[{"text": " \n"}]), 422, "empty_text", "inputs[0]", "inputs[0] has no text"),
    (ONE, v1({"truncate": False}, inputs=["w1", LONG]), 422, "input_too_long", "inputs[1]", "22 tokens and task 'bee'"),
    (MANY, v1(), 422, "invalid_request", "tasks", "inputs[0] has none"),
    (MANY, v1(inputs=[{"text": "w1", "tasks": ["ant"]}, "w2"]), 422, "invalid_request", "tasks", "inputs[1] has none"),
    (MANY, v1(inputs=[{"text": "w1", "tasks": ["antt"]}]), 404, "unknown_task", "inputs[0].tasks[0]", "mean 'ant'"),
    (MANY, v1(inputs=[{"text": "w1", "tasks": []}]), 422, "invalid_request", "inputs[0].tasks", "inputs[0].tasks: "),
    (MANY, v1(inputs=[{"text": "w1", "tasks": "auto"}]), 422, "no_router", "inputs[0].tasks", "no router"),
    (ONE, v1(inputs=[{"text": "w1", "tasks": ["bee"]}]), 422, "invalid_request", "inputs[0].tasks", "not a known key"),
    (MANY, v1(tasks=[]), 422, "invalid_request", "tasks", "tasks: "),
    (MANY, v1(tasks="ant"), 422, "invalid_request", "tasks", "'all'"),
    (MANY, v1(tasks="auto"), 422, "no_router", "tasks", "no router"),
    (ONE, v1(inputs=["w1 " * 2000]), 413, "body_too_large", None, "4096 bytes"),
    ("/v1/nothing", v1(), 404, "not_found", None, "/v1/nothing"),
    ("/v1/predict/", v1(tasks="all"), 404, "not_found", None, "/v1/predict/"),
    ("/v1/tasks", v1(), 405, "method_not_allowed", None, "POST /v1/tasks (it takes GET)"),
]


@pytest.mark.parametrize(("path", "body", "status", "kind", "param", "named"), BAD)
async def test_bad_requests(
    client: httpx.AsyncClient, path: str, body: bytes, status: int, kind: str, param: str | None, named: str
) -> None:
    response = await client.post(path, content=body, headers={"X-Request-Id": "bad-1"})
    error = response.json()["error"]

    assert response.status_code == status
    assert list(error) == ["type", "message", "param", "request_id"]
    assert (error["type"], error["param"], error["request_id"]) == (kind, param, "bad-1")
    assert named in error["message"]
    assert response.headers["X-Request-Id"] == "bad-1"


async def test_a_compressed_body_is_named_as_such(client: httpx.AsyncClient) -> None:
    for encoding in ("gzip", "br, gzip"):
        response = await client.post(ONE, content=gzip.compress(v1()), headers={"Content-Encoding": encoding})
        assert (response.status_code, response.json()["error"]["type"]) == (400, "malformed_json")
        assert f"but {encoding} by its Content-Encoding" in response.json()["error"]["message"]
        body, headers = gzip.compress(b"{}"), {"Content-Encoding": encoding}
        response = await client.post("/v2/models/ant/infer", content=body, headers=headers)
        assert f"but {encoding} by its Content-Encoding" in response.json()["error"]
    assert (await client.post(ONE, content=v1(), headers={"Content-Encoding": "utf-8"})).status_code == 200


async def test_an_overlong_text_is_cut_unless_forbidden(client: httpx.AsyncClient) -> None:
    response = await client.post(ONE, content=v1(inputs=[LONG]))

    assert response.status_code == 200
    assert response.json()["usage"] == {"tokens": 8, "truncated": 14}


def over(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(service)), base_url="http://test")


async def test_a_request_that_no_queue_holds(engine: Engine) -> None:
    service = Service(engine, Choice(None, "asked for"), max_queued_tokens=30)
    async with over(service) as client:
        response = await client.post(MANY, content=v1(inputs=[LONG], tasks=["ant", "cat"]))
    await service.aclose()

    assert response.status_code == 413
    assert response.json()["error"]["type"] == "request_too_large"
    assert "44 tokens" in response.json()["error"]["message"]


async def test_ten_thousand_inputs(engine: Engine) -> None:
    service = Service(engine, Choice(None, "asked for"))
    tensor = {"name": "text", "datatype": "BYTES", "shape": [10_000], "data": ["w1"] * 10_000}
    async with over(service) as client:
        one = await client.post(ONE, content=v1(inputs=["w1"] * 10_000))
        v2 = await client.post("/v2/models/bee/infer", json={"inputs": [tensor]})
        most = await client.post(ONE, content=v1(inputs=["w1"] * 1024))
    await service.aclose()

    assert (one.status_code, one.json()["error"]["type"]) == (413, "too_many_inputs")
    assert "10000 inputs and at most 1024" in one.json()["error"]["message"]
    assert v2.status_code == 413
    assert most.status_code == 200


async def test_a_request_is_bounded_in_tokens_below_the_queue(engine: Engine) -> None:
    service = Service(engine, Choice(None, "asked for"), max_request_tokens=43)
    async with over(service) as client:
        response = await client.post(MANY, content=v1(inputs=[LONG], tasks=["ant", "cat"]))
    await service.aclose()

    assert (response.status_code, response.json()["error"]["type"]) == (413, "request_too_large")
    assert "at most 43" in response.json()["error"]["message"]


async def test_a_full_queue_is_429_with_retry_after(engine: Engine) -> None:
    service = Service(engine, Choice(None, "asked for"), max_batch_tokens=1, max_queued_tokens=30)
    async with over(service) as client:
        responses = [client.post(ONE, content=v1(inputs=["w1", "w2", "w3", "w4"])) for _ in range(12)]
        responses = await asyncio.gather(*responses)
        metrics = (await client.get("/metrics")).text
    await service.aclose()
    refused = [response for response in responses if response.status_code == 429]

    assert refused
    assert {response.status_code for response in responses} == {200, 429}
    for response in refused:
        seconds = int(response.headers["Retry-After"])
        assert 1 <= seconds <= 30
        assert response.json()["error"]["type"] == "overloaded"
        assert f"{seconds} s" in response.json()["error"]["message"]
    assert f'mergeladder_rejected_total{{reason="overloaded"}} {len(refused)}.0' in metrics


async def test_a_closed_service_is_503(engine: Engine) -> None:
    service = Service(engine, Choice(None, "asked for"))
    await service.start()
    await service.aclose()
    async with over(service) as client:
        response = await client.post(ONE, content=v1())
        ready, live = await client.get("/v2/health/ready"), await client.get("/v2/health/live")

    assert (response.status_code, response.json()["error"]["type"]) == (503, "draining")
    assert 1 <= int(response.headers["Retry-After"]) <= 30
    assert (ready.status_code, ready.json()) == (503, {"live": True, "ready": False})
    assert live.status_code == 200


async def test_what_nobody_foresaw_is_500_and_logged_without_the_text(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(dataclasses.replace(engine, _heads={}), Choice(None, "asked for"))
    async with over(service) as client:
        v1_response = await client.post(ONE, content=v1(inputs=["w42 w43"]), headers={"X-Request-Id": "broken-1"})
        v2_input = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["w42"]}
        v2_response = await client.post("/v2/models/bee/infer", json={"inputs": [v2_input]})
        metrics = (await client.get("/metrics")).text
    await service.aclose()

    assert v1_response.status_code == v2_response.status_code == 500
    assert v1_response.json()["error"]["type"] == "internal"
    assert v1_response.json()["error"]["request_id"] == v1_response.headers["X-Request-Id"] == "broken-1"
    assert "KeyError" not in v1_response.text
    assert list(v2_response.json()) == ["error"]
    assert "request broken-1 failed" in caplog.text
    assert "KeyError" in caplog.text
    assert "w42" not in caplog.text
    assert 'mergeladder_requests_total{code="500",task="bee"} 2.0' in metrics


async def test_no_text_of_a_user_is_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "w17-confidential"
    bodies = [v1(inputs=[secret]), v1({"truncate": False}, inputs=[secret + LONG]), v1(inputs=[{"txt": secret}])]
    bodies += [b'{"inputs": ["' + secret.encode(), v1({"min_rung": secret})]
    statuses = [(await client.post(ONE, content=body)).status_code for body in bodies]

    assert statuses == [200, 422, 422, 400, 422]
    assert secret not in caplog.text
