"""The two kinds of client behind one door."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from serving.client import AsyncClient, Client

Ask = Callable[..., Any]


def ask_sync(url: str, method: str, *args: Any, client: dict[str, Any], **options: Any) -> Any:
    with Client(url, **client) as opened:
        return getattr(opened, method)(*args, **options)


def ask_async(url: str, method: str, *args: Any, client: dict[str, Any], **options: Any) -> Any:
    async def ask() -> Any:
        async with AsyncClient(url, **client) as opened:
            return await getattr(opened, method)(*args, **options)

    return asyncio.run(ask())


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """`ask(url, method, *args, client={...}, **options)`: what a client answers, by either kind of client."""

    def ask(url: str, method: str, *args: Any, client: dict[str, Any] | None = None, **options: Any) -> Any:
        return request.param(url, method, *args, client=client or {}, **options)

    return ask
