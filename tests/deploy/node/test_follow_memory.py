"""A node whose memory grows and shrinks."""

import asyncio

import pytest

from deploy import node as node_module
from deploy.sizing import Sizing
from deploy.watch import Steady
from merge_builder.ladder import choose

from .conftest import rung_of

pytestmark = pytest.mark.anyio


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


async def test_a_look_that_fails_is_not_the_last(make, memory, monkeypatch, caplog):
    monkeypatch.setattr(node_module, "LOOK_SECONDS", 0.01)
    node, memory.free = make(), 0
    await node.settle(Sizing())
    memory.free = None  # which nothing can be reckoned with
    following = asyncio.create_task(node.follow_memory(Steady(down_seconds=0.1, up_seconds=0.1)))
    await asyncio.sleep(0.1)
    assert "could not be looked at" in caplog.text
    memory.free = 1 << 40
    async with asyncio.timeout(20):
        while not node.status().ready:
            await asyncio.sleep(0.01)
    following.cancel()
