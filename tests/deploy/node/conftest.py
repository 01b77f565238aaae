"""Nodes over the real engine and service, by themselves and behind the HTTP routes."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from deploy.attempt import Attempt
from deploy.memory import Memory
from deploy.node import Node, Place
from deploy.sizer import Sizer
from merge_builder.ladder import rung_at
from serving.api.app import create_app
from serving.engine.engine import load_engine
from serving.errors import UnknownNode
from serving.fleet import Asked, Begun, NodeStatus
from serving.service import Choice, Service


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Memories:
    """What the nodes' devices have free, in bytes; `measured` counts the workspaces that were measured."""

    free: int = 1 << 40
    measured: int = 0

    def look(self) -> Memory:
        return Memory(self.free, "a test's memory")

    def workspace(self) -> int:
        self.measured += 1
        return 1000


@dataclass
class Together:
    """A fleet of nodes in one process."""

    members: list[Node] = field(default_factory=list)

    async def nodes(self) -> Sequence[NodeStatus]:
        return [node.status() for node in self.members]

    async def change(self, asked: Asked, where: str) -> Sequence[Begun]:
        meant = [node for node in self.members if node.place.is_meant(where)]
        if not meant:
            raise UnknownNode(f"nobody is called {where}", "node")
        for node in meant:
            await node.check(asked)
        return [node.begin(asked) for node in meant]


@pytest.fixture
def memory() -> Memories:
    return Memories()


@pytest.fixture
async def make(ladder, memory, tmp_path) -> AsyncIterator[Callable[..., Node]]:
    made: list[Node] = []

    def make(name: str = "a", group: str | None = None) -> Node:
        last = len(ladder.manifest.rungs) - 1
        service = Service(load_engine(ladder, rung_at(ladder.manifest, last)), Choice(None, "starting"))
        place = Place(name, f"node-{name}", group, "cpu", f"http://{name}")
        attempt = Attempt(tmp_path, name)
        sizer = Sizer(ladder.manifest, attempt, memory=memory.look, workspace=memory.workspace)
        made.append(Node(service, place, sizer))
        return made[-1]

    yield make
    for node in made:
        await node.changed()
        await node.service.aclose()


@pytest.fixture
async def fleet(make) -> AsyncIterator[tuple[httpx.AsyncClient, Together]]:
    together = Together([make("a", "small"), make("b", "large")])
    app = create_app(together.members[0].service, fleet=together)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client, together


def rung_of(node: Node) -> int:
    return node.service.engine.rung.size.index
