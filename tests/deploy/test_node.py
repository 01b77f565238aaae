"""Nodes over the real engine and service, by themselves and behind the HTTP routes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from deploy import node as node_module
from deploy.attempt import Attempt
from deploy.memory import Memory
from deploy.node import Node, Place
from deploy.sizing import Sizing
from deploy.watch import Steady
from merge_builder.ladder import choose, rung_at
from serving.api.app import create_app
from serving.encoding import Text
from serving.engine.engine import load_engine
from serving.errors import UnknownNode
from serving.fleet import Asked, Begun, NodeStatus
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio


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
        made.append(Node(service, place, Attempt(tmp_path, name), memory=memory.look, workspace=memory.workspace))
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


async def test_it_goes_where_its_budget_says_and_tells(make, ladder, memory):
    node, wanted = make(), ladder.manifest.rungs[6]
    await node.settle(Sizing(budget=str(wanted.bytes)))
    status = node.status()
    assert (rung_of(node), status.rung, status.budget) == (6, "#6", wanted.bytes)
    assert sum(status.bytes.values()) == wanted.bytes
    assert status.change is not None
    assert status.change.state == "done"
    assert memory.measured == 0  # a stated budget needs no look at the device


async def test_where_memory_decides_the_workspace_is_left_alone(make, ladder, memory):
    node, wanted = make(), ladder.manifest.rungs[6]
    memory.free = -int(-(wanted.bytes + 1000) // 0.5)
    for budget in ("0.5", "0.5"):
        await node.settle(Sizing(budget=budget))
        assert rung_of(node) == 6
    assert memory.measured == 1


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/tasks/mood/predict", json={"inputs": ["w1 w2"]})


async def test_without_a_rung_that_fits_it_is_out_until_one_does(fleet, ladder):
    client, together = fleet
    for node in together.members:
        await node.service.start()
        await node.settle(Sizing(rung="#0"))
    node, last = together.members[0], len(ladder.manifest.rungs) - 1
    for member in together.members:
        await member.settle(Sizing(budget="1KiB"))
        status = member.status()
        assert (status.ready, status.rung, status.bytes) == (False, None, {})
        assert "the least that would do" in status.reason
        assert rung_of(member) == last  # it holds as little as it can
    refused = await ask(client)
    assert (refused.status_code, refused.json()["error"]["type"]) == (503, "rung_too_small")
    assert "the least that would do" in refused.json()["error"]["message"]
    assert (await client.get("/v2/health/ready")).status_code == 503
    for body, status in (({"budget": "2KiB"}, 507), ({"rung": "#3", "node": "a"}, 202)):
        assert (await client.post("/admin/v1/budget", json=body)).status_code == status
    await node.changed()
    answer = (await ask(client)).raise_for_status().json()
    assert answer["model"]["rung"] == "#3"
    assert (await client.get("/v2/health/ready")).status_code == 200
    await node.settle(Sizing(rung="#5"))
    assert (await ask(client)).json()["model"]["rung"] == "#5"


async def test_what_was_asked_before_it_went_out_is_answered(make):
    node = make()
    await node.service.start()
    asked = [asyncio.create_task(node.service.predict([Text("w1 " * 50)], ["mood"])) for _ in range(8)]
    await asyncio.sleep(0)  # they begin
    await node.settle(Sizing(budget="1KiB"))
    assert all(result.logits["mood"].shape == (1, 2) for result in await asyncio.gather(*asked))


async def test_several_configurations_at_once_end_with_the_last(make):
    node = make()
    sizings = [Sizing(rung="#1"), Sizing(budget="1KiB"), Sizing(rung="#2"), Sizing(budget="1KiB"), Sizing(rung="#4")]
    await asyncio.gather(*(node.settle(sizing) for sizing in sizings))
    assert (rung_of(node), node.out) == (4, None)


async def test_a_configuration_that_is_wrong_is_told_until_the_next(make):
    node = make()
    await node.settle(Sizing(rung="#3"))
    node.refuse_config("user_config.rungs: Extra inputs are not permitted")
    assert (node.status().rung, "user_config.rungs" in node.status().reason) == ("#3", True)
    await node.settle(Sizing(rung="#4"))
    assert (node.status().rung, "user_config.rungs" in node.status().reason) == ("#4", False)


async def test_it_tells_who_told_its_budget(fleet):
    client, together = fleet

    async def sources() -> list[str]:
        return [node["budget_source"] for node in (await client.get("/v1/nodes")).json()["nodes"]]

    assert await sources() == ["config", "config"]
    await client.post("/admin/v1/budget", json={"rung": "#3", "node": "b"})
    await client.post("/admin/v1/budget", json={"budget": "1KiB", "node": "a"})  # is refused
    assert await sources() == ["config", "admin"]
    await together.members[1].settle(Sizing(rung="#4"))
    assert await sources() == ["config", "config"]


async def test_a_rung_that_killed_the_replica_before_is_not_tried_again(make, ladder, tmp_path):
    Attempt(tmp_path, "a").begin(ladder.manifest.rungs[0])
    node = make()
    await node.settle(Sizing(rung="#0"))
    assert node.service.engine.rung.size.bytes <= 0.9 * ladder.manifest.rungs[0].bytes
    assert "died" in node.status().reason
    assert Attempt(tmp_path, "a").died_of(ladder.manifest) is None  # this one has survived


async def test_it_follows_its_memory_when_that_lasts(make, ladder, memory, monkeypatch):
    monkeypatch.setattr(node_module, "LOOK_SECONDS", 0.01)
    node, manifest = make(), ladder.manifest
    await node.settle(Sizing())
    assert rung_of(node) == 0
    following = asyncio.create_task(node.follow_memory(Steady(down_seconds=0.1, up_seconds=0.1)))
    for free in (manifest.rungs[9].bytes * 2, 0, manifest.rungs[4].bytes * 2):
        memory.free = free
        fitting = max(int(free * 0.8) - 1000, min(rung.bytes for rung in manifest.rungs))
        async with asyncio.timeout(20):
            while node.service.engine.rung.size.bytes != choose(manifest, fitting).bytes:
                await asyncio.sleep(0.01)
        await node.changed()
    following.cancel()


async def test_one_that_is_out_comes_in_when_memory_has_grown(make, memory, monkeypatch):
    monkeypatch.setattr(node_module, "LOOK_SECONDS", 0.01)
    node, memory.free = make(), 0
    await node.settle(Sizing())
    following = asyncio.create_task(node.follow_memory(Steady(down_seconds=0.1, up_seconds=0.1)))
    await asyncio.sleep(0.3)
    assert node.out is not None
    memory.free = 1 << 40
    async with asyncio.timeout(20):
        while not node.status().ready:
            await asyncio.sleep(0.01)
    assert rung_of(node) == 0
    following.cancel()


async def test_a_stated_budget_does_not_follow_memory(make, memory, monkeypatch):
    monkeypatch.setattr(node_module, "LOOK_SECONDS", 0.01)
    node = make()
    await node.settle(Sizing(rung="#0"))
    following = asyncio.create_task(node.follow_memory(Steady(down_seconds=0.0, up_seconds=0.0)))
    memory.free = 0
    await asyncio.sleep(0.2)
    assert rung_of(node) == 0
    following.cancel()


async def test_the_nodes_are_told_over_http(fleet):
    client, together = fleet
    nodes = (await client.get("/v1/nodes")).raise_for_status().json()["nodes"]
    assert [(node["id"], node["node"], node["group"]) for node in nodes] == [
        ("a", "node-a", "small"),
        ("b", "node-b", "large"),
    ]
    assert [node["rung"] for node in nodes] == [node.service.engine.rung.name for node in together.members]


@pytest.mark.parametrize(("where", "changed"), [("all", "ab"), ("b", "b"), ("node-a", "a"), ("large", "b")])
async def test_a_change_is_begun_where_it_is_meant(fleet, ladder, where, changed):
    client, together = fleet
    last = len(ladder.manifest.rungs) - 1
    answer = await client.post("/admin/v1/budget", json={"rung": "#3", "node": where})
    assert answer.status_code == 202
    told = answer.json()
    assert (told["from"], told["to"]) == (f"#{last}", "#3")
    assert [operation["node"] for operation in told["operations"]] == list(changed)
    for node in together.members:
        await node.changed()
        assert rung_of(node) == (3 if node.place.replica in changed else last)
    nodes = (await client.get("/v1/nodes")).json()["nodes"]
    done = [node["change"] for node in nodes if node["change"]]
    assert {change["operation"] for change in done} == {operation["operation"] for operation in told["operations"]}
    assert {(change["state"], change["from"], change["to"]) for change in done} == {("done", f"#{last}", "#3")}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"budget": "1KiB"}, 507, "rung_does_not_fit"),
        ({"rung": "#99999"}, 507, "rung_does_not_fit"),
        ({"budget": "much"}, 507, "rung_does_not_fit"),
        ({"rung": "1", "node": "nowhere"}, 404, "unknown_node"),
        ({}, 422, "invalid_request"),
        ({"rung": "1", "budget": "1GiB"}, 422, "invalid_request"),
        ({"rung": "1", "nod": "a"}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_changes(fleet, body, status, kind):
    client, together = fleet
    before = [rung_of(node) for node in together.members]
    answer = await client.post("/admin/v1/budget", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert [rung_of(node) for node in together.members] == before


async def test_two_changes_at_once(fleet):
    client, together = fleet
    first = await client.post("/admin/v1/budget", json={"rung": "#0", "node": "a"})
    second = await client.post("/admin/v1/budget", json={"rung": "#1"})
    await together.members[0].changed()
    assert first.status_code == 202
    # The first may be over already: then the second is as good as any.
    assert second.status_code in (202, 409)
    if second.status_code == 409:
        assert second.json()["error"]["type"] == "change_under_way"
        assert rung_of(together.members[1]) != 1
