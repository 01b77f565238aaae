import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from deploy import http_server
from deploy.http_server import Address, start_server
from merge_builder.ladder import rung_at
from serving.api.app import create_app
from serving.engine.engine import Engine, load_engine
from serving.engine.types import BatchOutput, Encoded
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])  # Ray's workers use uvloop
def anyio_backend(request) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def app(answer: str = "here") -> FastAPI:
    made = FastAPI()

    @made.get("/")
    async def root() -> str:
        return answer

    @made.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.5)
        return answer

    return made


@pytest.fixture
def address() -> Address:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", free.getsockname()[1])


@asynccontextmanager
async def served(address: Address, made: FastAPI) -> AsyncIterator[http_server.HttpServer]:
    server = await start_server(made, address, drain_seconds=5)
    try:
        yield server
    finally:
        await server.stop()


def address_of(address: Address) -> tuple[str, int]:
    return address.host, address.port


async def get(address: Address, path: str = "/") -> str:
    # A new connection each time; without `verify` no certificates are read for it.
    async with httpx.AsyncClient(base_url=f"http://{address.host}:{address.port}", verify=False) as client:
        return (await client.get(path)).raise_for_status().json()


async def test_two_replicas_share_the_port_and_one_may_leave(address):
    async with served(address, app("first")) as first, served(address, app("second")):
        assert {await get(address) for _ in range(32)} == {"first", "second"}
        assert {await get(Address(address.host, first.own_port)) for _ in range(8)} == {"first"}
        await first.stop()
        assert {await get(address) for _ in range(8)} == {"second"}


async def test_a_stop_answers_what_is_under_way_and_takes_no_more(address):
    async with served(address, app()) as server:
        under_way = asyncio.create_task(get(address, "/slow"))
        await asyncio.sleep(0.2)
        await server.stop()
        assert await under_way == "here"
        with pytest.raises(httpx.ConnectError):
            await get(address)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_stop_loses_nobody_who_asks_without_pause(address, kept):
    limits = httpx.Limits(max_keepalive_connections=None if kept else 0)

    async def ask_until_refused() -> int:
        url, answers = f"http://{address.host}:{address.port}", 0
        async with httpx.AsyncClient(base_url=url, limits=limits, verify=False) as client:
            while True:
                try:
                    answers += (await client.get("/")).raise_for_status().json() == "here"
                except httpx.ConnectError:
                    return answers

    for _ in range(5):
        async with served(address, app()) as server:
            asking = [asyncio.create_task(ask_until_refused()) for _ in range(8)]
            await asyncio.sleep(0.2)
            await server.stop()
            assert all(answers > 0 for answers in await asyncio.gather(*asking))


async def test_a_stop_answers_those_who_wait_to_be_accepted(address):
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with served(address, app()) as server:
        with contextlib.ExitStack() as waiting:
            # The loop does not turn meanwhile, so nobody accepts them before the stop.
            clients = [waiting.enter_context(socket.create_connection(address_of(address))) for _ in range(8)]
            for client in clients[:4]:
                client.sendall(request)
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0.3)
            for client in clients[4:]:
                client.sendall(request)
            await stopping
            answers = [b"".join(iter(lambda c=client: c.recv(65536), b"")) for client in clients]
    assert all(b"200 OK" in answer and b"connection: close" in answer for answer in answers)


async def test_a_connection_that_asks_nothing_does_not_hold_up_a_stop_for_long(address, monkeypatch):
    monkeypatch.setattr(http_server, "LINGER_SECONDS", 0.5)
    clock = asyncio.get_running_loop().time
    async with served(address, app()) as server:
        reader, writer = await asyncio.open_connection(*address_of(address))
        await asyncio.sleep(0.1)
        began = clock()
        await server.stop()
        assert 0.5 <= clock() - began < 5
        assert await reader.read() == b""
        writer.close()
    async with served(address, app()) as server:
        began = clock()
        await server.stop()
        assert clock() - began < 0.5  # with nobody there it does not linger


GATE = threading.Event()


class Gated(Engine):
    """Computes long inputs once GATE is set."""

    def run(self, batch: Sequence[Encoded]) -> BatchOutput:
        if any(item.length > 8 for item in batch):
            GATE.wait(20)
        return super().run(batch)


@pytest.fixture
def service(ladder) -> Iterator[Service]:
    GATE.clear()
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    yield Service(Gated(**vars(engine)), Choice(None, "asked for"), max_batch_tokens=4)
    GATE.set()


def counted(service: Service) -> dict[tuple[str, str], float]:
    """The requests by task and status."""
    series = service.metrics.requests.collect()[0].samples
    return {(s.labels["task"], s.labels["code"]): s.value for s in series if s.name.endswith("_total")}


@pytest.mark.parametrize(
    ("path", "told"),
    [("/v1/tasks/mood/predict", b'"type":"draining"'), ("/v2/models/mood/infer", b'{"error":"this server is')],
)
async def test_what_a_stop_gives_up_is_told_and_counted_so(address, monkeypatch, caplog, service, path, told):
    monkeypatch.setattr(http_server, "LINGER_SECONDS", 0.1)
    caplog.set_level(logging.INFO, "mergeladder.requests")
    server = await start_server(create_app(service), address, drain_seconds=1.2)
    reader, writer = await asyncio.open_connection(*address_of(address))
    writer.write(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf".encode())
    await asyncio.sleep(0.2)
    await server.stop()
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"content-type: application/json" in head
    assert b"retry-after: " in head
    assert b"connection: close" in head
    assert head.count(b"x-request-id: ") == 1
    assert told in body
    assert counted(service) == {("mood", "503"): 1}
    assert [(r.fields["status"], r.fields["error"]) for r in caplog.records if r.name == "mergeladder.requests"] == [
        (503, "draining")
    ]


async def test_a_stream_that_a_stop_cuts_off_is_counted_so(address, monkeypatch, service):
    monkeypatch.setattr(http_server, "LINGER_SECONDS", 0.1)
    server = await start_server(create_app(service), address, drain_seconds=1.2)
    body = b'{"inputs": ["w1", "w1 w2 w3 w4 w5 w6 w7 w8"]}'
    head = b"POST /v1/tasks/mood/predict HTTP/1.1\r\nHost: a\r\nAccept: application/x-ndjson\r\nContent-Length: "
    reader, writer = await asyncio.open_connection(*address_of(address))
    writer.write(head + b"%d\r\n\r\n" % len(body) + body)
    assert (await reader.readuntil(b'"index":0')).startswith(b"HTTP/1.1 200 ")
    stopping = asyncio.create_task(server.stop())
    rest = await reader.read()
    GATE.set()
    await stopping
    writer.close()
    assert b'"index":1' not in rest
    assert b"usage" not in rest
    assert counted(service) == {("mood", "503"): 1}


async def test_an_address_that_somebody_else_listens_on(address):
    with socket.socket() as other:
        other.bind((address.host, address.port))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            await start_server(app(), address, drain_seconds=5)


async def test_an_application_that_does_not_start(address):
    @asynccontextmanager
    async def fails(_: FastAPI) -> AsyncIterator[None]:
        raise ValueError("no")
        yield

    with pytest.raises(RuntimeError, match="did not start"):
        await start_server(FastAPI(lifespan=fails), address, drain_seconds=5)
    async with served(address, app()):
        assert await get(address) == "here"


async def test_an_address_that_is_not_shared_is_nobody_elses(address):
    server = await start_server(app(), address, drain_seconds=5, shared=False)
    try:
        assert server.own_port == address.port
        with pytest.raises(OSError, match="in use"):
            await start_server(app(), address, drain_seconds=5)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://{address.host}:{address.port}/")).json() == "here"
    finally:
        await server.stop()
