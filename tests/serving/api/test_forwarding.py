"""Two real servers of one ladder at different rungs, as a fleet."""

import asyncio
import socket
import threading
import time

import httpx
import pytest

from merge_builder.ladder import rung_at
from serving.api.app import create_app
from serving.api.forwarding import Forwarder
from serving.engine.engine import load_engine
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def urls(pico_ladder, serve, members):
    """The URLs of a server at 1x and of one at half of the ladder."""
    fleet = members
    last = len(pico_ladder.manifest.rungs) - 1
    for index in (last, last // 2):
        service = Service(load_engine(pico_ladder, rung_at(pico_ladder.manifest, index)), Choice(None, "a test"))
        fleet.members.append((service, serve(create_app(service, fleet=fleet))))
    return [url for _, url in fleet.members]


def ask(url: str, least: int, **headers: str) -> httpx.Response:
    body = {"inputs": ["w1 w2"], "parameters": {"min_rung": f"#{least}", "return_logits": True}}
    return httpx.post(f"{url}/v1/tasks/cat/predict", json=body, headers=headers)


def test_the_one_that_has_the_rung_answers(urls, middle_rung):
    small, large = urls
    answer, own = ask(small, middle_rung, **{"X-Request-Id": "one"}), ask(large, middle_rung)
    assert answer.status_code == 200
    assert answer.json()["model"]["rung"] == f"#{middle_rung}"
    assert answer.json()["logits"][0] == pytest.approx(own.json()["logits"][0])
    assert answer.headers.get_list("X-Request-Id") == ["one"]
    assert answer.json()["id"] == "one"


def test_a_trace_goes_through_both(urls, middle_rung, caplog):
    with caplog.at_level("INFO", "mergeladder.requests"):
        answer = ask(urls[0], middle_rung, traceparent=f"00-{TRACE}-{PARENT}-01")
        end = time.monotonic() + 5
        while len(caplog.records) < 2 and time.monotonic() < end:  # the last is logged behind its answer
            time.sleep(0.01)
    [told] = answer.headers.get_list("traceparent")
    spans = {record.fields["span_id"] for record in caplog.records if record.fields["trace_id"] == TRACE}

    assert answer.status_code == 200
    assert len(spans) == 2
    assert told.split("-")[1] == TRACE
    assert told.split("-")[2] in spans - {PARENT}


def test_without_need_nobody_is_asked(urls):
    small, _ = urls
    answer = httpx.post(f"{small}/v1/tasks/cat/predict", json={"inputs": ["w1 w2"]})
    assert answer.json()["model"]["ratio"] == 1.0


def test_streams_and_the_open_protocol_go_on_too(urls, middle_rung):
    small, _ = urls
    body = {"inputs": ["w1", "w2"], "tasks": "all", "parameters": {"min_rung": f"#{middle_rung}"}}
    lines = httpx.post(f"{small}/v1/predict", json=body, headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert len(lines) == 3
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["w1"]}
    infer = {"inputs": [tensor], "parameters": {"min_rung": f"#{middle_rung}"}}
    answer = httpx.post(f"{small}/v2/models/cat/infer", json=infer)
    assert answer.json()["parameters"]["rung"] == f"#{middle_rung}"


def test_where_nobody_has_it_the_largest_there_is_is_named(urls, middle_rung):
    for url in urls:
        answer = ask(url, 0)
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "rung_too_small"
        assert f"is #{middle_rung} " in answer.json()["error"]["message"]
        assert int(answer.headers["Retry-After"]) > 0


def test_one_that_hangs_up_is_left_for_another(urls, middle_rung, members):
    small, large = urls
    asked, listener = [], socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(65536))
                if asked[-1] == b"over":
                    return

    answering = threading.Thread(target=hang_up)
    answering.start()
    lost = f"http://127.0.0.1:{listener.getsockname()[1]}"
    members.members.append((members.members[1][0], lost))  # as ready as the large one, if it is believed
    try:
        trace = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert {ask(small, middle_rung, **trace).status_code for _ in range(12)} == {200}
        members.members[1] = (members.members[0][0], large)  # now only the lost one has the rung
        time.sleep(1.1)  # what the fleet told is believed for a second
        answer = ask(small, middle_rung)
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "rung_too_small")
    finally:
        with socket.create_connection(listener.getsockname()) as last:
            last.sendall(b"over")
        answering.join()
        listener.close()
    assert len(asked) > 2
    assert f"traceparent: 00-{TRACE}-".encode() in asked[0]
    assert PARENT.encode() not in asked[0]  # the parent is the one that sends it on


def test_nothing_is_sent_on_twice(urls, middle_rung):
    small, _ = urls
    assert ask(small, middle_rung, **{"X-MergeLadder-Forwarded": "1"}).status_code == 503


async def test_many_at_once(urls, middle_rung):
    small, _ = urls
    async with httpx.AsyncClient() as http:
        body = {"inputs": ["w1 w2"], "parameters": {"min_rung": f"#{middle_rung}"}}
        answers = await asyncio.gather(*(http.post(f"{small}/v1/tasks/cat/predict", json=body) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}


async def test_the_fleet_is_asked_once_for_all_who_wait(pico_ladder):
    asked = []

    class Slow:
        async def nodes(self):
            asked.append(1)
            await asyncio.sleep(0.05)
            return []

    forwarder = Forwarder(Slow(), pico_ladder.manifest)
    assert await asyncio.gather(*(forwarder.larger(0) for _ in range(20))) == [[]] * 20
    assert len(asked) == 1
    await forwarder.aclose()


async def test_long_answers_keep_nobody_from_being_sent_on(pico_ladder, members):
    many, begun, all_there = 120, [], asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.append(1)
        if len(begun) == many:
            all_there.set()
        await all_there.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async def send(_: object) -> None: ...

    forwarder = Forwarder(members, pico_ladder.manifest)
    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        scope = {"method": "POST", "path": "/", "query_string": b"", "headers": [], "state": {"request_id": "one"}}
        async with asyncio.timeout(20):
            asked = await asyncio.gather(*(forwarder.ask(address, scope, b"", send) for _ in range(many)))
        await forwarder.aclose()
    assert asked == [True] * many
