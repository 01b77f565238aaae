"""The replica's own HTTP server: uvicorn on the replica's event loop, on the port that all replicas of a node share.

    server = await start_server(app, Address("127.0.0.1", 8000))
    await server.stop()

Ray Serve's proxy would be one more process on the way of every request, costs several times what the whole API does
(docs/benchmarks.md) and sends a request to any replica of the cluster. Here a request is answered by the process that
accepted it. Replicas share the port by SO_REUSEPORT, so that a new one may be up before the old one leaves.
"""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from deploy.connection import PromptConnection
from deploy.last_answers import last_answers

KEEP_ALIVE_SECONDS = 75  # longer than the minute after which load balancers close idle connections themselves
# How long a server that stops waits for what comes on connections that were kept. A request that is on its way when an
# idle connection is closed is lost, and its client cannot know whether it was looked at.
LINGER_SECONDS = 2.0
LAST_WORDS_SECONDS = 1.0  # for the requests that are given up then, to be told so


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
    _listeners: Sequence[socket.socket]
    _leaving: asyncio.Event

    async def stop(self) -> None:
        """Accept no more, answer what is under way and what still comes, end the application's lifespan.

        Each answer is the last of its connection, so that clients go elsewhere by themselves. Who asks nothing in
        LINGER_SECONDS is hung up on.
        """
        await self._leave()
        clock = asyncio.get_running_loop().time
        until = clock() + LINGER_SECONDS
        while self._uvicorn.server_state.connections and clock() < until:
            await asyncio.sleep(0.02)
        self._uvicorn.should_exit = True
        await self._serving
        if cancelled := self._uvicorn.server_state.tasks:
            await asyncio.wait(cancelled, timeout=LAST_WORDS_SECONDS)

    async def _leave(self) -> None:
        """Take what waits in the listeners' queues, which the system would reset, and close them."""
        loop = asyncio.get_running_loop()
        listeners = [listener for listener in self._listeners if listener.fileno() >= 0]  # none the second time
        for listener in listeners:
            loop.remove_reader(listener)
        await asyncio.sleep(0)  # asyncio makes what it has just accepted into connections; it needs the server for that
        waiting = [connection for listener in listeners for connection in _accept_all(listener)]
        for server in self._uvicorn.servers:
            server.close()
        self._leaving.set()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> PromptConnection:
        server = self._uvicorn
        return PromptConnection(server.config, server.server_state, server.lifespan.state)


async def start_server(app: FastAPI, address: Address, *, drain_seconds: float, shared: bool = True) -> HttpServer:
    """Serve `app` on `address` once its lifespan has begun; a stop takes about `drain_seconds` at most.

    Where the address is `shared` it also listens on a port of its own, which the system chooses: by it others reach
    this one of those that share it. Where not, nobody else may listen there.

    Raises:
        OSError: the address cannot be listened on.
        RuntimeError: the application's start failed; the log tells why.
    """
    leaving = asyncio.Event()
    config = uvicorn.Config(
        last_answers(app, leaving),
        interface="asgi3",
        http=PromptConnection,
        lifespan="on",
        log_config=None,
        access_log=False,  # the metrics count requests
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(drain_seconds - LINGER_SECONDS),
    )
    server = uvicorn.Server(config)
    listeners = [_listen(address, shared)]
    if shared:
        listeners.append(_listen(Address(address.host, 0), shared))
    serving = asyncio.create_task(_serve(server, listeners))
    own_port: int = listeners[-1].getsockname()[1]
    while not server.started:
        if serving.done():
            await serving
        await asyncio.sleep(0.005)
    return HttpServer(own_port, server, serving, listeners, leaving)


async def _serve(server: uvicorn.Server, listeners: list[socket.socket]) -> None:
    try:
        await server.serve(listeners)
    except SystemExit as error:  # uvicorn's way to say so; it would end the replica without a reason
        raise RuntimeError("the application did not start") from error
    finally:
        for listener in listeners:
            listener.close()


def _listen(address: Address, shared: bool) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener


def _accept_all(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections in the queue of a listener that does not block."""
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except ConnectionAbortedError:  # this one has gone already
            continue
        connection.setblocking(False)
        yield connection
