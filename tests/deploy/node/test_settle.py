"""The rung that a node takes for what its configuration, its memory and its past say."""

import asyncio

import httpx
import pytest

from deploy.attempt import Attempt
from deploy.sizing import Sizing
from serving.inputs import Text

from .conftest import rung_of

pytestmark = pytest.mark.anyio


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


async def test_a_wrong_configuration_is_told_while_an_earlier_one_is_gone_to(make):
    node = make()
    going = asyncio.create_task(node.settle(Sizing()))  # which measures first
    await asyncio.sleep(0)
    node.refuse_config("user_config.rungs: Extra inputs are not permitted")
    await going
    assert (node.status().rung, "user_config.rungs" in node.status().reason) == ("#0", True)


async def test_a_configuration_that_cannot_be_followed_is_told(make, memory):
    node = make()
    await node.settle(Sizing(rung="#3"))
    memory.free = None  # which nothing can be reckoned with
    await node.follow_config(Sizing(budget="0.5"))
    assert node.status().rung == "#3"
    assert "not followed" in node.status().reason
    await node.follow_config(Sizing(rung="#4"))
    assert node.status().rung == "#4"
    assert "not followed" not in node.status().reason


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


async def test_a_rung_that_killed_the_replica_before_is_not_tried_again(make, ladder, tmp_path):
    Attempt(tmp_path, "a").begin(ladder.manifest.rungs[0])
    node = make()
    await node.settle(Sizing(rung="#0"))
    assert node.service.engine.rung.size.bytes <= 0.9 * ladder.manifest.rungs[0].bytes
    assert "died" in node.status().reason
    assert Attempt(tmp_path, "a").died_of(ladder.manifest) is None  # this one has survived
