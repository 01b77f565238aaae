"""Streams through both clients: the real application's, and those that break."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from merge_builder.ladder import Ladder, rung_at
from serving.api.app import create_app
from serving.client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    DeadlineExceeded,
    EmptyText,
    InvalidRequest,
    MergeLadderApiError,
    ServerFailed,
    TasksInput,
    UnexpectedAnswer,
    UnknownTask,
)
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

from ..conftest import running

TEXTS = [f"w{n % 90}" for n in range(200)]
MODEL = {"ladder": "l", "revision": "r", "rung": "#0", "ratio": 1.0}
TIMES = {"queue": 0, "tokenize": 0, "inference": 0, "total": 0}
LAST = {"id": "1", "model": MODEL, "usage": {"tokens": 1, "truncated": 0}, "timings_ms": TIMES, "since": "later"}
NOW = {"Retry-After": "0"}


def stream_sync(url: str, *args: Any, client: dict[str, Any], **options: Any) -> list:
    with Client(url, **client) as opened:
        return list(opened.stream(*args, **options))


def stream_async(url: str, *args: Any, client: dict[str, Any], **options: Any) -> list:
    async def run() -> list:
        async with AsyncClient(url, **client) as opened:
            return [line async for line in opened.stream(*args, **options)]

    return asyncio.run(run())


@pytest.fixture(params=[stream_sync, stream_async], ids=["sync", "async"])
def stream(request: pytest.FixtureRequest) -> Callable[..., list]:
    """`stream(url, *args, client={...}, **options)`: all lines that a client gets, by either kind of client."""

    def stream(url: str, *args: Any, client: dict[str, Any] | None = None, **options: Any) -> list:
        return request.param(url, *args, client=client or {}, **options)

    return stream


@pytest.fixture(scope="module")
def url(pico_ladder: Ladder, middle_rung: int) -> Iterator[str]:
    engine = load_engine(pico_ladder, rung_at(pico_ladder.manifest, middle_rung))
    with running(create_app(Service(engine, Choice(None, "asked for"), max_batch_tokens=40)), 0) as url:
        yield url


def test_a_stream_holds_what_plain_calls_answer(stream, url: str) -> None:
    inputs = [*TEXTS, TasksInput(text="w1", tasks=["cat"]), {"text": "w2", "tasks": "all"}]
    lines = stream(url, inputs, ["ant", "bee"], top_k=1)
    with Client(url) as client:
        plain = client.predict_many(TEXTS, ["ant", "bee"], top_k=1).results
        each = client.predict_each(inputs[-2:], top_k=1)

    assert [line.index for line in lines] == list(range(len(inputs)))
    for place, line in enumerate(lines[:-2]):
        assert {task: one.predictions[0].label for task, one in line.answers.items()} == {
            task: plain[task].predictions[place][0].label for task in ("ant", "bee")
        }
    for line, answers in zip(lines[-2:], each.answers, strict=True):
        assert {task: one.predictions[0].label for task, one in line.answers.items()} == {
            task: one.predictions[0].label for task, one in answers.items()
        }
    assert [len(line.answers) for line in lines[-2:]] == [1, 3]
    assert {line.rung for line in lines} == {each.model.rung}


@pytest.mark.parametrize(
    ("inputs", "tasks", "kind", "param"),
    [
        (["w1"], ["wasp"], UnknownTask, "tasks[0]"),
        ([*TEXTS, " "], ["ant"], EmptyText, "inputs[200]"),
        (["w1"], None, InvalidRequest, "tasks"),
    ],
)
def test_errors_before_and_amid_a_stream_have_their_class(
    stream, url: str, inputs: list, tasks: list | None, kind: type[MergeLadderApiError], param: str
) -> None:
    with pytest.raises(kind) as caught:
        stream(url, inputs, tasks)

    assert caught.value.param == param
    assert caught.value.request_id


def test_leaving_the_loop_gives_up_the_rest(engine: Engine, serve) -> None:
    service = Service(engine, Choice(None, "asked for"), max_batch_tokens=40)
    url, gone = serve(create_app(service)), threading.Event()
    with Client(url) as client:
        lines = client.stream(TEXTS * 20, ["ant"])
        assert next(lines).index == 0
        lines.close()
    value = service.metrics.registry.get_sample_value
    for _ in range(500):
        if value("mergeladder_requests_total", {"task": "ant", "code": "499"}):
            break
        gone.wait(0.01)

    assert value("mergeladder_requests_total", {"task": "ant", "code": "499"}) == 1
    assert value("mergeladder_batch_size_sum") < 4000


class Lines:
    """An ASGI application that streams its scripts in order: lines, and how the stream ends."""

    def __init__(self, *scripts: list[dict | str]) -> None:
        self.scripts, self.asked = list(scripts), []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        self.asked.append(json.loads(message["body"])["inputs"])
        script = self.scripts.pop(0)
        if script[0] == "busy":
            headers = [(name.encode(), value.encode()) for name, value in NOW.items()]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for line in script:
            if line == "cut":
                raise ConnectionError
            if line == "slow":
                await asyncio.sleep(2)
                continue
            await send({"type": "http.response.body", "body": json.dumps(line).encode() + b"\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def line(index: int) -> dict:
    return {"index": index, "rung": "#0", "answers": {"a": {"predictions": []}}, "since": "later"}


def error(kind: str, param: str | None = None) -> dict:
    return {"error": {"type": kind, "message": "no", "param": param, "request_id": "r-1"}}


def test_a_stream_that_is_lost_goes_on_where_it_was(stream, serve) -> None:
    app = Lines(["busy"], [line(0), line(1), "cut"], [line(0)], [line(0), error("draining")], ["busy"], [line(0), LAST])
    lines = stream(serve(app), ["t0", "t1", "t2", "t3", "t4"], client={"retries": 2})

    assert [one.index for one in lines] == [0, 1, 2, 3, 4]
    texts = [["t0", "t1", "t2", "t3", "t4"]] * 2 + [["t2", "t3", "t4"], ["t3", "t4"], ["t4"], ["t4"]]
    assert app.asked == texts


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([line(0), error("internal", "inputs[1].text")], ServerFailed),
        ([line(0), line(2)], UnexpectedAnswer),
        ([line(0), LAST], UnexpectedAnswer),
        ([line(0), {"hello": 1}], UnexpectedAnswer),
        ([line(0), "slow"], DeadlineExceeded),
        ([line(0), "cut"], ConnectionFailed),
    ],
)
def test_other_ends_are_final(stream, serve, script: list, kind: type[MergeLadderApiError]) -> None:
    app = Lines(script)
    with pytest.raises(kind) as caught:
        stream(serve(app), ["t0", "t1", "t2"], client={"retries": 0, "timeout": 0.5})

    assert len(app.asked) == 1
    assert caught.value.param == ("inputs[1].text" if kind is ServerFailed else None)


def test_plain_http_sees_the_same_lines(url: str) -> None:
    body = {"inputs": ["w1"], "tasks": ["ant"]}
    response = httpx.post(f"{url}/v1/predict", json=body, headers={"Accept": "application/x-ndjson"})

    assert [list(json.loads(one)) for one in response.text.splitlines()] == [
        ["index", "rung", "answers"],
        ["id", "model", "usage", "timings_ms"],
    ]
