"""HTTP clients of the real application over the pico ladder's service."""

from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import numpy as np
import pytest

from serving.api.app import create_app
from serving.engine.engine import Engine
from serving.engine.types import Encoded
from serving.fleet import Asked, Begun, NodeStatus
from serving.service import Service

MAX_BODY = 4096
Ask = Callable[..., np.ndarray]


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the application in this process; bodies are limited to 4096 bytes."""
    transport = httpx.ASGITransport(create_app(service, max_body_bytes=MAX_BODY))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def ask(engine: Engine) -> Ask:
    """`ask(task, text, pair=None)`: the logits, float32 of shape (labels,), straight from the engine."""

    def ask(task: str, text: str, pair: str | None = None) -> np.ndarray:
        [ids] = engine.tokenizer.encode([text], [pair], max_length=engine.max_length(task), truncate=True)
        return engine.run([Encoded(ids.input_ids, ids.token_type_ids, (task,))]).logits[0][task]

    return ask


class Members:
    """A fleet of services in this process, each with its URL, that tell of themselves what they are."""

    def __init__(self) -> None:
        self.members: list[tuple[Service, str]] = []

    async def nodes(self) -> Sequence[NodeStatus]:
        return [
            NodeStatus(
                id=address,
                node=address,
                group=None,
                device="cpu",
                address=address,
                ready=service.ready,
                budget=None,
                rung=service.engine.rung.name,
                ratio=service.engine.rung.size.ratio,
                bytes={},
                tasks=list(service.tasks),
                reason="",
                change=None,
            )
            for service, address in self.members
        ]

    async def change(self, asked: Asked, where: str) -> Sequence[Begun]:
        raise AssertionError(f"nobody asks for {asked} at {where} here")


@pytest.fixture
def members() -> Members:
    """A fleet without members as yet."""
    return Members()
