"""Nodes as they are told of, and changed, over HTTP."""

import pytest

from deploy.sizing import Sizing

from .conftest import rung_of

pytestmark = pytest.mark.anyio


async def test_the_nodes_are_told_over_http(fleet):
    client, together = fleet
    nodes = (await client.get("/v1/nodes")).raise_for_status().json()["nodes"]
    assert [(node["id"], node["node"], node["group"]) for node in nodes] == [
        ("a", "node-a", "small"),
        ("b", "node-b", "large"),
    ]
    assert [node["rung"] for node in nodes] == [node.service.engine.rung.name for node in together.members]


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
