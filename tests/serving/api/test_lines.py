"""Streamed answers: line by line what the plain answer holds, and how a stream ends."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import httpx
import pytest
import uvicorn

from merge_builder.ladder import rung_at
from serving.api.app import create_app
from serving.engine.engine import Engine
from serving.engine.types import BatchOutput, Encoded
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
ONE, MANY = "/v1/tasks/bee/predict", "/v1/predict"
LINES = {"Accept": "application/json;q=0.1, application/x-ndjson"}
TEXTS = [f"w{n % 90} w{n % 7}" for n in range(100)]


def read(response: httpx.Response) -> list[dict]:
    assert response.text.endswith("\n")
    return [json.loads(line) for line in response.text.splitlines()]


def over(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(service)), base_url="http://test")


def counted(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(f"mergeladder_{name}", labels) or 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_one_task_line_by_line(client: httpx.AsyncClient, service: Service) -> None:
    body = {"inputs": TEXTS, "parameters": {"top_k": 2, "return_logits": True}}
    plain = (await client.post(ONE, json=body)).json()
    response = await client.post(ONE, json=body, headers=LINES | {"X-Request-Id": "lines-1"})
    *lines, last = read(response)

    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert all(list(line) == ["index", "rung", "predictions", "logits"] for line in lines)
    assert [line["index"] for line in lines] == list(range(100))
    assert {line["rung"] for line in lines} == {plain["model"]["rung"]}
    for line, predictions, logits in zip(lines, plain["predictions"], plain["logits"], strict=True):
        assert [one["label"] for one in line["predictions"]] == [one["label"] for one in predictions]
        assert line["logits"] == pytest.approx(logits, abs=1e-5)
    assert list(last) == ["id", "model", "usage", "timings_ms"]
    assert (last["id"], last["model"], last["usage"]) == ("lines-1", plain["model"], plain["usage"])
    assert counted(service, "requests_total", task="bee", code="200") == 2
    assert counted(service, "inputs_total", task="bee") == 201  # one by the warm-up


async def test_many_tasks_and_mixed_ones_line_by_line(client: httpx.AsyncClient) -> None:
    inputs = ["w1 w2", {"text": "w3", "tasks": ["cat"]}, "w4"]
    body = {"inputs": inputs, "tasks": ["bee", "ant"], "parameters": {"return_logits": True}}
    plain = (await client.post(MANY, json=body)).json()
    *lines, last = read(await client.post(MANY, json=body, headers=LINES))

    assert [list(line) for line in lines] == [["index", "rung", "answers"]] * 3
    assert [set(line["answers"]) for line in lines] == [{"bee", "ant"}, {"cat"}, {"bee", "ant"}]
    for line, answers in zip(lines, plain["answers"], strict=True):
        for task, answer in answers.items():
            assert line["answers"][task]["logits"] == pytest.approx(answer["logits"], abs=1e-5)
            assert [one["label"] for one in line["answers"][task]["predictions"]] == [
                one["label"] for one in answer["predictions"]
            ]
    assert last["usage"] == plain["usage"]


async def test_more_inputs_than_a_plain_request_or_the_queue_may_have(engine: Engine) -> None:
    service = Service(engine, Choice(None, "asked for"), max_batch_tokens=500, max_queued_tokens=1000)
    async with over(service) as client:
        *lines, last = read(await client.post(ONE, json={"inputs": TEXTS * 20}, headers=LINES))
        too_many = await client.post(ONE, json={"inputs": ["w1"] * 16385}, headers=LINES)
    await service.aclose()

    assert [line["index"] for line in lines] == list(range(2000))
    assert last["usage"] == {"tokens": 2000 * 4, "truncated": 0}
    assert (too_many.status_code, too_many.json()["error"]["type"]) == (413, "too_many_inputs")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"inputs": [" "]}, 422, "empty_text"),
        ({"inputs": ["w1"], "tasks": ["wasp"]}, 404, "unknown_task"),
        ({"inputs": ["w1"], "parameters": {"min_rung": "#0"}}, 503, "rung_too_small"),
    ],
)
async def test_what_is_wrong_before_the_first_line_is_an_ordinary_error(
    client: httpx.AsyncClient, body: dict, status: int, kind: str
) -> None:
    response = await client.post(MANY, json={"tasks": "all"} | body, headers=LINES)

    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.headers["Content-Type"] == "application/json"


async def test_what_goes_wrong_later_is_told_by_the_last_line(engine: Engine) -> None:
    service = Service(engine, Choice(None, "asked for"), max_batch_tokens=40)
    body = {"inputs": [*TEXTS[:60], " ", *TEXTS[60:]]}
    async with over(service) as client:
        response = await client.post(ONE, json=body, headers=LINES | {"X-Request-Id": "lines-2"})
        in_the_window = await client.post(ONE, json={"inputs": ["w1", " "]}, headers=LINES)
    await service.aclose()
    *lines, last = read(response)

    assert response.status_code == 200
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert 0 < len(lines) <= 60
    assert list(last) == ["error"]
    assert list(last["error"].values())[0::2] == ["empty_text", "inputs[60]"]
    assert last["error"]["request_id"] == "lines-2"
    assert in_the_window.status_code == 422
    assert counted(service, "requests_total", task="bee", code="422") == 2
    assert counted(service, "queue_depth") == 0


@pytest.fixture
def gate() -> Iterator[threading.Semaphore]:
    """How many batches more the engine may compute."""
    gate = threading.Semaphore(1000)
    yield gate
    gate.release(1000)


@pytest.fixture
async def gated(engine: Engine, gate: threading.Semaphore) -> AsyncIterator[Service]:
    class Gated(Engine):
        def run(self, batch: Sequence[Encoded]) -> BatchOutput:
            assert gate.acquire(timeout=20)
            return super().run(batch)

    service = Service(Gated(**vars(engine)), Choice(None, "asked for"), max_batch_tokens=40)
    await service.start()
    while gate.acquire(blocking=False):
        pass
    yield service
    gate.release(1000)
    await service.aclose()


@pytest.fixture
async def address(gated: Service) -> AsyncIterator[str]:
    """The application under uvicorn on a real socket."""
    server = uvicorn.Server(uvicorn.Config(create_app(gated), port=0, lifespan="off", log_level="warning"))
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await running


async def test_lines_come_as_batches_are_done_and_a_client_that_hangs_up_cancels_the_rest(
    address: str, gated: Service, gate: threading.Semaphore
) -> None:
    before = counted(gated, "batch_size_sum")
    async with (
        httpx.AsyncClient(base_url=address) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(asyncio.to_thread(gate.release, 2))
        async with client.stream("POST", ONE, json={"inputs": TEXTS}, headers=LINES) as response:
            lines = response.aiter_lines()
            first = [json.loads(await anext(lines)) for _ in range(20)]  # 2 batches of 10 inputs of 4 tokens
    await until(lambda: counted(gated, "requests_total", task="bee", code="499") == 1)
    gate.release(1000)
    await until(lambda: counted(gated, "queue_depth") == 0 and counted(gated, "inflight_requests") == 0)
    await gated.aclose()

    assert [line["index"] for line in first] == list(range(20))
    computed = counted(gated, "batch_size_sum") - before
    assert computed <= 30  # the batch that was in the engine was computed, and nothing after it
    assert counted(gated, "cancelled_total", stage="queue") > 0


async def test_a_line_that_is_not_there_in_time_ends_the_stream(
    address: str, gated: Service, gate: threading.Semaphore
) -> None:
    gate.release(1)
    within = LINES | {"x-request-timeout-seconds": "1"}
    async with httpx.AsyncClient(base_url=address) as client:
        *lines, last = read(await client.post(ONE, json={"inputs": TEXTS}, headers=within))

    assert [line["index"] for line in lines] == list(range(10))
    assert last["error"]["type"] == "deadline_exceeded"
    assert "within 1 s" in last["error"]["message"]
    assert counted(gated, "requests_total", task="bee", code="504") == 1


@pytest.mark.parametrize(("min_rung", "ends"), [(None, "usage"), ("3.0", "error")])
async def test_each_line_names_the_rung_that_computed_it(engine: Engine, min_rung: str | None, ends: str) -> None:
    manifest = engine.ladder.manifest

    class Swapping(Engine):
        """Goes to the last rung after its first batch."""

        def run(self, batch: Sequence[Encoded]) -> BatchOutput:
            output = super().run(batch)
            self.swap(rung_at(manifest, len(manifest.rungs) - 1))
            return output

    engine.swap(rung_at(manifest, 0))
    service = Service(Swapping(**vars(engine)), Choice(None, "asked for"), max_batch_tokens=40)
    async with over(service) as client:
        body = {"inputs": TEXTS, "parameters": {"min_rung": min_rung}}
        *lines, last = read(await client.post(ONE, json=body, headers=LINES))
    await service.aclose()

    first = [line for line in lines if line["rung"] == "#0"]
    assert 0 < len(first) < len(TEXTS)
    assert {line["rung"] for line in lines[len(first) :]} <= {f"#{len(manifest.rungs) - 1}"}
    assert len(lines) == (len(first) if min_rung else len(TEXTS))
    assert ends in last
    if min_rung:
        assert last["error"]["type"] == "rung_too_small"
    else:
        assert last["model"]["rung"] == lines[-1]["rung"]
