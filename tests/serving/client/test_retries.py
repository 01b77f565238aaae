"""What the clients do when the server says not now, says it in plain text, hangs up, or is slow."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from serving.client import (
    DeadlineExceeded,
    Draining,
    MergeLadderApiError,
    Overloaded,
    ServerFailed,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from serving.client.retries import Retries, retry_after

TASKS = (
    b'{"tasks": [{"name": "ant", "kind": "classification", "labels": ["no", "yes"], "max_length": 8, '
    b'"since": "a newer server"}]}'
)
BUSY = b'{"error": {"type": "overloaded", "message": "the queue is full", "param": null, "request_id": "r-1"}}'
DRAINING = BUSY.replace(b"overloaded", b"draining")
NOW = {"Retry-After": "0"}


class Scripted:
    """An ASGI application that gives its answers (status, body, headers) in order, the last again and again."""

    def __init__(self, *answers: tuple[int, bytes, dict[str, str]], delay: float = 0.0) -> None:
        self.answers, self.delay = list(answers), delay
        self.seen: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        status, body, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(self.delay)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


OK = (200, TASKS, {})


@pytest.mark.parametrize("refusal", [(429, BUSY, NOW), (503, DRAINING, NOW), (503, b"Service Unavailable", {})])
def test_a_refused_call_is_sent_again(ask, serve, refusal: tuple) -> None:
    app = Scripted(refusal, refusal, OK)

    assert [task.name for task in ask(serve(app), "tasks")] == ["ant"]
    assert len(app.seen) == 3


def test_retry_after_is_waited_for(ask, serve) -> None:
    app = Scripted((429, BUSY, {"Retry-After": "1"}), OK)
    started = time.monotonic()

    ask(serve(app), "tasks")
    assert 1.0 <= time.monotonic() - started < 5


def test_retries_are_counted(ask, serve) -> None:
    app = Scripted((429, BUSY, NOW))

    with pytest.raises(Overloaded, match="the queue is full") as caught:
        ask(serve(app), "tasks", client={"retries": 3})
    assert len(app.seen) == 4
    assert (caught.value.type, caught.value.status, caught.value.request_id) == ("overloaded", 429, "r-1")


def test_a_pause_that_the_time_left_does_not_hold_is_not_begun(ask, serve) -> None:
    app = Scripted((503, DRAINING, {"Retry-After": "20"}))
    started = time.monotonic()

    with pytest.raises(Draining):
        ask(serve(app), "tasks", client={"timeout": 5.0})
    assert len(app.seen) == 1
    assert time.monotonic() - started < 4


def test_other_errors_are_final(ask, serve) -> None:
    app = Scripted((500, b"Internal Server Error", {"X-Request-Id": "r-9"}), OK)

    with pytest.raises(ServerFailed, match="status 500: Internal Server Error") as caught:
        ask(serve(app), "tasks")
    assert len(app.seen) == 1
    assert caught.value.request_id == "r-9"


PLAIN = [
    (408, b"Request timed out after 3s.", DeadlineExceeded, "deadline_exceeded"),
    (429, b"Request dropped due to backpressure", Overloaded, "overloaded"),
    (503, b"", Unavailable, "unavailable"),
    (504, b"<html>Gateway   Time-out</html>", DeadlineExceeded, "deadline_exceeded"),
    (401, b'{"error": "the protocol\'s own body"}', Unauthorized, "unauthorized"),
    (302, b"", UnexpectedAnswer, "unexpected_answer"),
]


@pytest.mark.parametrize(("status", "body", "kind", "type_"), PLAIN)
def test_what_a_proxy_tells_in_plain_text_is_the_same_exception(
    ask, serve, status: int, body: bytes, kind: type[MergeLadderApiError], type_: str
) -> None:
    with pytest.raises(MergeLadderApiError, match=f"status {status}: .+") as caught:
        ask(serve(Scripted((status, body, {}))), "tasks", client={"retries": 0})

    assert type(caught.value) is kind
    assert (caught.value.type, caught.value.status) == (type_, status)


def test_a_type_that_a_newer_server_tells_is_told_on(ask, serve) -> None:
    with pytest.raises(Overloaded) as caught:
        ask(serve(Scripted((429, BUSY.replace(b"overloaded", b"tired"), {}))), "tasks", client={"retries": 0})

    assert caught.value.type == "tired"


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}"])
def test_another_kind_of_server(ask, serve, body: bytes) -> None:
    url = serve(Scripted((200, body, {})))

    with pytest.raises(UnexpectedAnswer, match=f"{url}/v1/tasks answered with something else"):
        ask(url, "tasks")


def test_a_slow_server_is_left_when_the_time_is_over(ask, serve) -> None:
    url = serve(Scripted(OK, delay=3.0))
    started = time.monotonic()

    with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s"):
        ask(url, "tasks", client={"timeout": 0.3})
    assert time.monotonic() - started < 2


def test_the_server_is_told_the_key_and_the_time_left(ask, serve) -> None:
    app = Scripted((429, BUSY, {"Retry-After": "1"}), OK)
    ask(serve(app), "tasks", client={"key": "sesame", "timeout": 9.0})
    first, second = (float(headers["x-request-timeout-seconds"]) for headers in app.seen)

    assert {headers["authorization"] for headers in app.seen} == {"Bearer sesame"}
    assert 8 < first <= 9
    assert second <= first - 1


@pytest.fixture
def hangs_up_once() -> Iterator[str]:
    """The URL of a server that closes its first connection in the middle of a request."""

    def answer() -> None:
        for body in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(TASKS) + TASKS):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(body)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_a_lost_connection_is_made_again(ask, hangs_up_once: str) -> None:
    assert [task.name for task in ask(hangs_up_once, "tasks")] == ["ant"]


def test_a_server_that_starts_late_is_found(ask, serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    late = threading.Timer(0.5, serve, (Scripted(OK), port))
    late.start()
    try:
        assert [task.name for task in ask(f"http://127.0.0.1:{port}", "tasks")] == ["ant"]
    finally:
        late.join()


@pytest.mark.parametrize(("told", "expected"), [("7", 7.0), ("0", 0.0), ("", None), ("soon", None), ("-3", None)])
def test_retry_after_as_a_number(told: str, expected: float | None) -> None:
    assert retry_after(httpx.Response(429, headers={"Retry-After": told})) == expected


def test_retry_after_as_a_date() -> None:
    def told(seconds: int) -> float | None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        return retry_after(httpx.Response(503, headers={"Retry-After": date}))

    assert told(30) == pytest.approx(30, abs=2)
    assert told(-30) == 0


def test_pauses_grow_and_differ_but_are_never_shorter_than_asked() -> None:
    def pauses(headers: dict[str, str]) -> list[float]:
        retries = Retries(timeout=1000, most=10)
        return [retries.pause_after(httpx.Response(503, headers=headers)) for _ in range(10)]

    unasked, asked = pauses({}), pauses({"Retry-After": "3"})
    assert 0.1 <= unasked[0] <= 0.125
    assert 8 <= unasked[9] <= 10
    assert all(later > earlier for earlier, later in pairwise(unasked[:7]))
    assert all(3 <= pause <= 3.75 for pause in asked)
    assert len(set(asked)) > 1
