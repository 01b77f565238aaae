"""The replica's own HTTP server: uvicorn on the replica's event loop, on the port that all replicas of a node share.

    server = await start_server(app, Address("127.0.0.1", 8000))
    await server.stop()

Ray Serve's proxy would be one more process on the way of every request, costs several times what the whole API does
(docs/benchmarks.md) and sends a request to any replica of the cluster. Here a request is answered by the process that
accepted it. Replicas share the port by SO_REUSEPORT, so that a new one may be up before the old one leaves.
"""

import asyncio
import socket
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# How long a client may take to send a request's head, and how long it may be. The body has the request's deadline and
# limits of its own.
HEAD_SECONDS = 10.0
HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 75  # longer than the minute after which load balancers close idle connections themselves


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    port: int


@dataclass(frozen=True)
class HttpServer:
    """A server that accepts requests; one event loop starts and stops it. `own_port` is not shared with others."""

    own_port: int
    _uvicorn: uvicorn.Server
    _serving: asyncio.Task[None]

    async def stop(self) -> None:
        """Accept no more, answer what is under way, end the application's lifespan."""
        self._uvicorn.should_exit = True
        await self._serving


async def start_server(app: FastAPI, address: Address, *, drain_seconds: float) -> HttpServer:
    """Serve `app` on `address` once its lifespan has begun; at the end requests get at most `drain_seconds`.

    It also listens on a port of its own, which the system chooses: by it others reach this one of those that share
    the address.

    Raises:
        OSError: the address cannot be listened on.
        RuntimeError: the application's start failed; the log tells why.
    """
    config = uvicorn.Config(
        app,
        http=_PromptHead,
        lifespan="on",
        log_config=None,
        access_log=False,  # the metrics count requests
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(drain_seconds),
    )
    server = uvicorn.Server(config)
    listeners = [_listen(address), _listen(Address(address.host, 0))]
    serving = asyncio.create_task(_serve(server, listeners))
    own_port: int = listeners[1].getsockname()[1]
    while not server.started:
        if serving.done():
            await serving
        await asyncio.sleep(0.005)
    return HttpServer(own_port, server, serving)


async def _serve(server: uvicorn.Server, listeners: list[socket.socket]) -> None:
    try:
        await server.serve(listeners)
    except SystemExit as error:  # uvicorn's way to say so; it would end the replica without a reason
        raise RuntimeError("the application did not start") from error
    finally:
        for listener in listeners:
            listener.close()


def _listen(address: Address) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener


class _PromptHead(HttpToolsProtocol):
    """One connection, closed where a request's head is not there in HEAD_SECONDS or has more than HEAD_BYTES.

    uvicorn bounds neither, so that clients which dribble would hold their connections for ever.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Also starts the clock: a new connection has to ask something."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Also counts a head's bytes."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Also starts the clock: another request on a connection that was kept."""
        super().on_message_begin()
        self._clock.cancel()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Also stops the clock."""
        self._in_head = False
        self._clock.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Also stops the clock."""
        self._clock.cancel()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._clock = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
