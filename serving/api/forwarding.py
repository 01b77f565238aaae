"""A request that needs a larger rung than this replica has is answered by one that has it.

It is decided here, where the request came in, from what the fleet last told: a router that waits for such a replica
would hold up everybody else's requests.
"""

import asyncio
import random
import time
from collections.abc import Sequence

import httpx
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from merge_builder.ladder.manifest import Manifest
from serving.api.errors import error_response
from serving.api.trace_context import HEADER
from serving.errors import RungTooSmall
from serving.fleet import Fleet, NodeStatus

FORWARDED = b"x-mergeladder-forwarded"
_FRESH_SECONDS = 1.0  # how long the fleet's last word is believed
# Of the answer, what belongs to the connection to the other replica and not to the answer.
_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"date", b"server"}
_OWN = {b"host", b"content-length"}  # of the request, what is made anew
# Of both, what tells who answers whom: this server is the one that asks, and the one that answers its client.
_IDS = {b"x-request-id", HEADER.encode()}


class Forwarder:
    """Knows which replicas have which rungs, and asks them."""

    def __init__(self, fleet: Fleet, manifest: Manifest) -> None:
        self._fleet, self._manifest = fleet, manifest
        self._known: Sequence[NodeStatus] = ()
        self._at = -_FRESH_SECONDS
        self._asking = asyncio.Lock()
        # The request's own deadline ends it, and how many there may be is for the one that is asked to say. Replicas
        # are asked by address, so that there is no certificate to check.
        self._http = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None), verify=False)

    async def larger(self, least: int) -> list[str]:
        """The addresses of the replicas whose rung is `least` or larger, each as likely as another to be the first."""
        fit = [node.address for node in await self._nodes() if node.ready and _index(node) <= least]
        return random.sample(fit, len(fit))

    async def too_small(self, least: int) -> RungTooSmall:
        """What is told where there is none."""
        nodes = await self._nodes()
        indices = [_index(node) for node in nodes if node.ready]
        if not indices:
            return RungTooSmall(f"no replica serves a rung: {'; '.join({node.reason for node in nodes})}", None, least)
        best, wanted = self._manifest.rungs[min(indices)], self._manifest.rungs[least]
        return RungTooSmall(
            f"at least rung #{wanted.index} ({wanted.ratio:.3f}x) was asked for, and the largest that any replica has "
            f"is #{best.index} ({best.ratio:.3f}x)",
            "parameters.min_rung",
            least,
        )

    async def _nodes(self) -> Sequence[NodeStatus]:
        async with self._asking:  # one asks for all who wait
            if time.monotonic() - self._at >= _FRESH_SECONDS:
                self._known, self._at = await self._fleet.nodes(), time.monotonic()
        return self._known

    async def ask(self, address: str, scope: Scope, body: bytes, send: Send) -> bool:
        """Send the request on, and its answer back as it comes; False if the other one has gone and nothing came."""
        state = scope["state"]
        own = [(FORWARDED, b"1"), (b"x-request-id", state["request_id"].encode())]
        if "traceparent" in state:
            own.append((HEADER.encode(), state["traceparent"].encode()))
        headers = [(name, value) for name, value in scope["headers"] if name not in _OWN | _IDS] + own
        url = address + scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        request = self._http.build_request(scope["method"], url, headers=headers, content=body)
        try:
            answer = await self._http.send(request, stream=True)
        except httpx.TransportError:  # an answer changes nothing, so that any other may be asked as well
            return False
        try:
            kept = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in _HOP | _IDS]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()
        return True

    async def aclose(self) -> None:
        """Close the connections to other replicas."""
        await self._http.aclose()


def forwarded(app: ASGIApp, forwarder: Forwarder) -> ASGIApp:
    """Where `app` refuses a request for its rung, have another replica answer it, if one can."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(name == FORWARDED for name, _ in scope["headers"]):
            return await app(scope, receive, send)
        body, refused = bytearray(), False

        async def receive_and_keep() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] == 503 and "least_rung" in scope["state"]
            if not refused:
                await send(message)

        await app(scope, receive_and_keep, send_unless_refused)
        if not refused:
            return None
        least: int = scope["state"]["least_rung"]
        for address in await forwarder.larger(least):
            if await forwarder.ask(address, scope, bytes(body), send):
                return None
        response = await error_response(Request(scope), await forwarder.too_small(least))
        return await response(scope, receive, send)

    return middleware


def _index(node: NodeStatus) -> int:
    """The node's rung by index: the smaller, the larger the rung."""
    assert node.rung is not None  # of one that is ready
    return int(node.rung[1:])
