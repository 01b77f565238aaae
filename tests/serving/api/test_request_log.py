"""The log: one line of JSON a request, with its facts and nothing of its content."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import httpx
import pytest

from serving.json_log import log_as_json

pytestmark = pytest.mark.anyio
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SECRET = "w17-confidential"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict]]]:
    """What was logged so far, line by line."""
    logger, stream = logging.getLogger("mergeladder"), io.StringIO()
    before = logger.handlers, logger.propagate, logger.level
    log_as_json(logging.StreamHandler(stream))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


async def test_one_line_a_request_with_its_facts(client: httpx.AsyncClient, lines) -> None:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [3], "data": ["w1"] * 3}
    headers = {"X-Request-Id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    await client.post("/v1/tasks/ant/predict", json={"inputs": ["w1", "w2"]}, headers=headers)
    await client.post("/v1/predict", json={"inputs": ["w1"], "tasks": "all"})
    await client.post("/v2/models/ant/infer", json={"inputs": [tensor]})
    await client.post("/v1/tasks/wasp/predict", json={"inputs": ["w1"]})
    await client.get("/v1/ladder")
    await client.get("/nothing/here?key=1")
    first, *others = lines()

    assert first.pop("time").endswith("+00:00")
    assert 0 < first.pop("ms") < 10_000
    assert len(first.pop("span_id")) == 16
    assert first == {
        "level": "info",
        "logger": "mergeladder.requests",
        "message": "request",
        "method": "POST",
        "route": "/v1/tasks/{task}/predict",
        "status": 200,
        "request_id": "r-1",
        "tasks": 1,
        "inputs": 2,
        "trace_id": TRACE,
    }
    told = [tuple(line.get(name) for name in ("route", "status", "tasks", "inputs", "error")) for line in others]
    assert told == [
        ("/v1/predict", 200, 3, 1, None),
        ("/v2/models/{task}/infer", 200, 1, 3, None),
        ("/v1/tasks/{task}/predict", 404, 1, 1, "unknown_task"),
        ("/v1/ladder", 200, None, None, None),
        (None, 404, None, None, "not_found"),
    ]
    assert all("trace_id" not in line for line in others)


async def test_a_stream_that_broke_is_told_by_its_end(client: httpx.AsyncClient, lines) -> None:
    await client.post("/v1/tasks/ant/predict", json={"inputs": ["w1"]}, headers={"Accept": "application/x-ndjson"})
    await client.post("/v1/tasks/ant/predict", json={"inputs": [" "]}, headers={"Accept": "application/x-ndjson"})

    assert [(line["status"], line.get("error")) for line in lines()] == [(200, None), (422, "empty_text")]


async def test_nothing_of_the_content_is_logged(client: httpx.AsyncClient, lines) -> None:
    for body in (b'{"inputs": ["%b"]}', b'{"inputs": ["%b"', b'{"inputs": [{"txt": "%b"}]}', b'{"%b": 1}'):
        await client.post(
            f"/v1/tasks/{SECRET}/predict?{SECRET}",
            content=body.replace(b"%b", SECRET.encode()),
            headers={"Authorization": f"Bearer {SECRET}", "traceparent": SECRET, "X-Request-Id": f" {SECRET} "},
        )
    told = lines()

    assert len(told) == 4
    for line in told:
        assert SECRET not in json.dumps({name: value for name, value in line.items() if name != "request_id"})


async def test_what_watches_the_server_is_not_logged(client: httpx.AsyncClient, lines) -> None:
    for path in ("/metrics", "/v2/health/live", "/v2/health/ready"):
        assert (await client.get(path)).status_code == 200
    assert not lines()
    await client.get("/v2/health/nothing")
    assert [line["status"] for line in lines()] == [404]


async def test_a_failure_is_logged_with_its_traceback_on_one_line(lines) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("mergeladder.api").exception("request %s failed", "r-2")
    [line] = lines()

    assert (line["level"], line["message"]) == ("error", "request r-2 failed")
    assert "ValueError: why" in line["exception"]
    logging.getLogger("mergeladder.api").debug("unheard")
    assert len(lines()) == 1
