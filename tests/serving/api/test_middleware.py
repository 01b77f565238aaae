"""What every request passes: its id, its size, its count."""

from collections.abc import AsyncIterator

import httpx
import pytest

from serving.service import Service

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/v1/tasks", "/v2/models/wasp", "/nothing", "/metrics", "/docs"])
async def test_the_request_id_is_echoed_everywhere(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"X-Request-Id": "trace:7/b"})

    assert response.headers.get_list("X-Request-Id") == ["trace:7/b"]


@pytest.mark.parametrize("path", ["/", "/v1/tasks", "/v1/predict", "/v2/health/ready", "/nothing", "/docs"])
async def test_head_is_get_without_the_body(client: httpx.AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)

    assert head.content == b""
    assert head.status_code == get.status_code
    assert set(head.headers) == set(get.headers)
    assert head.headers["Content-Length"] == str(len(get.content))


@pytest.mark.parametrize("theirs", ["", "x" * 129, "a b", "é"])
async def test_an_id_that_does_not_fit_a_header_and_a_log_is_replaced(client: httpx.AsyncClient, theirs: str) -> None:
    headers = {b"X-Request-Id": theirs.encode()}
    ids = [(await client.get("/v1/tasks", headers=headers)).headers["X-Request-Id"] for _ in range(2)]

    assert theirs not in ids
    assert len(set(ids)) == 2


async def chunks() -> AsyncIterator[bytes]:
    yield b'{"inputs": ["'
    for _ in range(100):
        yield b"w1 " * 20
    yield b'"]}'


async def test_a_body_of_unknown_length_is_bounded_while_it_is_read(client: httpx.AsyncClient) -> None:
    for path in ("/v1/tasks/ant/predict", "/v1/predict", "/v2/models/ant/infer"):
        assert (await client.post(path, content=chunks())).status_code == 413


async def test_requests_are_counted_for_each_task_they_ask(client: httpx.AsyncClient, service: Service) -> None:
    value = service.metrics.registry.get_sample_value
    body = {"inputs": ["w1"]}
    await client.post("/v1/tasks/ant/predict", json=body)
    await client.post("/v1/predict", json=body | {"tasks": ["ant", "bee"]})
    await client.post("/v1/tasks/ant/predict", json={})
    for n in range(3):
        await client.post(f"/v1/tasks/made-up-{n}/predict", json=body)
    await client.post("/v1/predict", content=b" " * 5000)
    await client.get("/v1/tasks")
    text = (await client.get("/metrics")).text
    counted = {
        (s.labels["task"], s.labels["code"]): s.value
        for family in service.metrics.registry.collect()
        for s in family.samples
        if s.name == "mergeladder_requests_total"
    }

    assert counted == {
        ("ant", "200"): 2,
        ("bee", "200"): 1,
        ("ant", "422"): 1,
        ("other", "404"): 3,
        ("other", "413"): 1,
    }
    assert "made-up" not in text
    assert value("mergeladder_request_duration_seconds_count", {"task": "ant"}) == 3
    assert value("mergeladder_rejected_total", {"reason": "body_too_large"}) == 1
    assert value("mergeladder_inflight_requests") == 0
