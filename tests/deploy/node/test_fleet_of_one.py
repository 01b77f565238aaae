"""A fleet of one node, by itself and behind the HTTP routes."""

from collections.abc import AsyncIterator

import httpx
import pytest

from deploy.fleet_of_one import FleetOfOne
from deploy.node import Node
from serving.api.app import create_app

from .conftest import rung_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def node(make) -> Node:
    return make("a", "small")


@pytest.fixture
async def client(node) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(node.service, fleet=FleetOfOne(node))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as made:
        yield made


async def test_it_tells_of_its_node(client, node):
    (told,) = (await client.get("/v1/nodes")).raise_for_status().json()["nodes"]
    assert (told["id"], told["node"], told["group"], told["rung"]) == ("a", "node-a", "small", f"#{rung_of(node)}")


@pytest.mark.parametrize("where", ["all", "a", "node-a", "small"])
async def test_its_node_changes_by_any_of_its_names(client, node, where):
    before = rung_of(node)
    answer = await client.post("/admin/v1/budget", json={"rung": "#2", "node": where})
    assert answer.status_code == 202
    assert (answer.json()["from"], answer.json()["to"]) == (f"#{before}", "#2")
    await node.changed()
    assert rung_of(node) == 2


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"rung": "#2", "node": "b"}, 404, "'b'"),
        ({"budget": "1KiB"}, 507, "1.0 KiB"),
        ({"rung": "#99999"}, 507, "99999"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(client, node, body, status, named):
    before = rung_of(node)
    refused = await client.post("/admin/v1/budget", json=body)
    assert refused.status_code == status
    assert named in refused.json()["error"]["message"]
    await node.changed()
    assert rung_of(node) == before


async def test_one_change_at_a_time(client, node):
    assert (await client.post("/admin/v1/budget", json={"rung": "#0"})).status_code == 202
    second = await client.post("/admin/v1/budget", json={"rung": "#2"})
    await node.changed()
    assert (second.status_code, rung_of(node)) in ((409, 0), (202, 2))  # the first may have ended by then
