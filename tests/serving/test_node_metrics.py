"""One scrape of a node: every replica is in it, none twice, and a dead or a stuck one spoils nothing."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serving import node_metrics
from serving.api.app import create_app
from serving.engine.engine import Engine
from serving.metrics import Metrics
from serving.node_metrics import Replica, gather, merge, telling
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
OTHER_REPLICA = """
import asyncio, sys
from pathlib import Path
from serving.node_metrics import Replica, telling

async def main():
    async with telling(Replica(Path(sys.argv[1]), "other"), lambda: b"# TYPE mergeladder_x gauge\\nmergeladder_x 7\\n"):
        print("listening", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A short path: that of a socket has at most 108 bytes."""
    link = Path(f"/tmp/ml-{os.getpid()}")
    link.symlink_to(tmp_path)
    yield link / "replicas"
    link.unlink()


def series(text: str | bytes) -> Series:
    """Every series by its name and labels; a series that is there twice is an error."""
    text = text if isinstance(text, str) else text.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def registry(count: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("mergeladder_requests_total", "Requests.", ["task"], registry=registry).labels('a "b"\\c').inc(count)
    Histogram("mergeladder_wait_seconds", "A\nwait.", registry=registry).observe(count)
    return registry


def test_merging_adds_a_label_and_loses_nothing() -> None:
    texts = {name: generate_latest(registry(count)).decode() for name, count in (("one", 1), ("two", 20))}
    merged = merge(texts)

    assert series(merged) == {
        (name, labels | {("replica", replica)}): value
        for replica, text in texts.items()
        for (name, labels), value in series(text).items()
    }
    heads = [line for line in merged.decode().splitlines() if line.startswith("#")]
    assert heads == [line for line in texts["one"].splitlines() if line.startswith("#")]  # each family once


def test_merging_nothing_is_nothing() -> None:
    assert merge({}) == b""


async def test_whichever_replica_is_asked_all_are_told_each_for_itself(engine: Engine, folder: Path) -> None:
    services = [Service(engine, Choice(None, "asked for")) for _ in range(3)]
    apps = [create_app(service, replica=Replica(folder, f"r{n}")) for n, service in enumerate(services)]
    async with AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(app.router.lifespan_context(app))
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t"))
            for app in apps
        ]
        for client, count in zip(clients, (1, 2, 3), strict=True):
            for _ in range(count):
                await client.post("/v1/tasks/ant/predict", json={"inputs": ["w1"]})
        told = [series((await client.get("/metrics")).text) for client in clients]
        own = [series(generate_latest(service.metrics.registry)) for service in services]

    for one in told:
        counts = {
            dict(labels)["replica"]: value
            for (name, labels), value in one.items()
            if name == "mergeladder_requests_total" and ("task", "ant") in labels
        }
        assert counts == {"r0": 1, "r1": 2, "r2": 3}
        assert set(one) == {
            (name, labels | {("replica", f"r{n}")}) for n, each in enumerate(own) for name, labels in each
        }
    assert not list(folder.iterdir())  # they have cleared up


async def test_a_replica_of_its_own_says_no_replica(engine: Engine) -> None:
    app = create_app(Service(engine, Choice(None, "asked for")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        assert "replica=" not in (await client.get("/metrics")).text


async def test_replicas_are_processes_and_one_that_was_killed_is_forgotten(folder: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", OTHER_REPLICA, folder], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "listening\n"
        async with telling(Replica(folder, "this"), lambda: generate_latest(registry(5))):
            both = series(await gather(folder))
            assert both["mergeladder_x", frozenset({("replica", "other")})] == 7
            assert {dict(labels)["replica"] for _, labels in both} == {"this", "other"}
            other.send_signal(signal.SIGKILL)
            other.wait()
            left = series(await gather(folder))
            assert {dict(labels)["replica"] for _, labels in left} == {"this"}
            assert [path.name for path in folder.iterdir()] == ["this.sock"]
    finally:
        other.kill()
        other.wait()


async def test_a_replica_that_does_not_answer_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(node_metrics, "_PATIENCE_S", 0.2)
    async with telling(Replica(folder, "this"), lambda: generate_latest(registry(5))):
        with socket.socket(socket.AF_UNIX) as stuck:
            stuck.bind(str(folder / "stuck.sock"))
            stuck.listen()
            told = await asyncio.wait_for(gather(folder), 5)
            stuck.settimeout(5)
            with stuck.accept()[0] as asked:
                asked.settimeout(5)
                assert asked.recv(1) == b""  # whoever waited for it has hung up

    assert {dict(labels)["replica"] for _, labels in series(told)} == {"this"}
    assert "replica stuck are missing" in caplog.text


def test_a_replica_that_starts_again_takes_its_place(folder: Path) -> None:
    async def once() -> Series:
        async with telling(Replica(folder, "this"), lambda: generate_latest(Metrics(["a"]).registry)):
            return series(await gather(folder))

    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as before:
        before.bind(str(folder / "this.sock"))
    assert asyncio.run(once())
