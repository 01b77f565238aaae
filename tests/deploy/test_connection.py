"""Clients that send, or read, too slowly or too much, against a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from deploy import connection
from deploy.http_server import Address, start_server

pytestmark = pytest.mark.anyio
ANSWER = 32 << 20  # bytes: more than the buffers of a loopback connection hold
ASK = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])  # Ray's workers use uvloop
def anyio_backend(request) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    """Of a server that answers at `/`, half a second later at `/slow`, and with ANSWER bytes at `/large`."""
    made = FastAPI()

    @made.get("/")
    async def root() -> str:
        return "here"

    @made.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.5)
        return "here"

    @made.get("/large")
    async def large() -> PlainTextResponse:
        return PlainTextResponse(b"x" * ANSWER)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        chosen = Address("127.0.0.1", free.getsockname()[1])
    server = await start_server(made, chosen, drain_seconds=5)
    yield chosen
    await server.stop()


async def answer_to(address: Address, *pieces: bytes, pause: float) -> bytes:
    """What comes back, up to the end of the connection."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "pieces",
    [
        (),  # says nothing
        (b"GET / HTTP/1.1\r\n", b"Host: a\r\n", b"X-A: b\r\n", b"X-B: b\r\n", b"X-C: b\r\n"),  # dribbles
    ],
)
async def test_a_head_that_does_not_come_is_hung_up_on(address, monkeypatch, pieces):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.4)
    assert await answer_to(address, *pieces, pause=0.15) == b""
    assert (await answer_to(address, ASK, pause=0)).endswith(b'"here"')


async def test_a_kept_connection_has_to_send_its_next_head_in_time_too(address, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.4)
    first = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    # The pause between requests is longer than a head may take: it is no head.
    answer = await answer_to(address, first, b"", b"", b"", first, b"GET / HTT", pause=0.2)
    assert answer.count(b"200 OK") == 2


async def test_a_slow_answer_is_not_hung_up_on(address, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    assert (await answer_to(address, ASK.replace(b"/ ", b"/slow "), pause=0)).endswith(b'"here"')


async def test_a_head_without_end_is_hung_up_on(address, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_BYTES", 4096)
    endless = (b"GET / HTTP/1.1\r\nHost: a\r\n", *[b"X-A: " + b"b" * 1000 + b"\r\n"] * 8)
    assert await answer_to(address, *endless, pause=0) == b""
    assert (await answer_to(address, ASK, pause=0)).endswith(b'"here"')


@asynccontextmanager
async def asked_for_much(address: Address) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=1 << 16)
    try:
        writer.write(ASK.replace(b"/ ", b"/large "))
        yield reader
    finally:
        writer.close()


async def test_a_client_that_reads_nothing_is_hung_up_on(address, monkeypatch):
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)
    async with asked_for_much(address) as reader:
        await asyncio.sleep(1)
        got = 0
        with suppress(ConnectionResetError):
            while data := await reader.read(1 << 20):
                got += len(data)
    assert got < ANSWER  # what was in the buffers


async def test_a_client_that_reads_slowly_gets_all(address, monkeypatch):
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)
    async with asked_for_much(address) as reader:
        await reader.readuntil(b"\r\n\r\n")
        got = 0
        while got < ANSWER:
            data = await reader.read(4 << 20)
            assert data, f"cut off after {got} bytes"
            got += len(data)
            await asyncio.sleep(0.004)
    assert got == ANSWER
