import asyncio
from pathlib import Path

import numpy as np
import pytest

from merge_builder.ladder import rung_at
from serving.engine import weights
from serving.errors import ChangeUnderWay
from serving.inputs import Text
from serving.rung_change import RungChanger
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio

WHY = Choice(budget=5, reason="because")
TASKS = ["ant", "bee", "cat"]
TEXTS = [Text("w1 w2 w3"), Text("w4"), Text("w5 w6 w7 w8 w9")]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that the engine reads from now on."""
    paths: list[Path] = []
    load_file = weights.load_file

    def spy(path: Path, **options: str):
        paths.append(Path(path))
        return load_file(path, **options)

    monkeypatch.setattr(weights, "load_file", spy)
    return paths


def files(service: Service, index: int) -> set[Path]:
    return {service.engine.ladder.version_path(version) for version in rung_at(service.manifest, index).stored()}


async def change(service: Service, index: int, **options: int):
    changer = RungChanger(service)
    begun = changer.begin(service.manifest.rungs[index], WHY, **options)
    ended = await changer.finished()
    assert ended.id == begun.id
    assert begun.state == "running"
    return ended


async def test_a_change_reads_the_difference_and_tells_why(service, read):
    start, last = service.engine.rung.size.index, len(service.manifest.rungs) - 1
    for goal in (last, 0):
        before = files(service, start)
        read.clear()
        ended = await change(service, goal)
        assert set(read) == files(service, goal) - before
        assert len(read) == len(set(read))
        needed = rung_at(service.manifest, goal).stored()
        assert ended.bytes_read == sum(v.bytes for v in needed if service.engine.ladder.version_path(v) in read)
        assert (ended.state, ended.start, ended.goal, ended.reached) == ("done", f"#{start}", f"#{goal}", f"#{goal}")
        assert service.engine.rung.size.index == goal
        assert service.choice == WHY
        start = goal


async def test_within_a_limit_it_goes_through_rungs_between(service):
    sizes = [size.bytes for size in service.manifest.rungs]
    await change(service, len(sizes) - 1)
    held = []
    swap = service.engine.swap

    def spy(rung):
        held.append(files(service, service.engine.rung.size.index) | files(service, rung.size.index))
        swap(rung)

    service.engine.swap = spy
    limit = sizes[0]  # what all experts need, and nothing for merged versions beside them
    await change(service, 0, limit=limit)
    heads = sum(task.head.bytes for task in service.manifest.tasks)
    of = {service.engine.ladder.version_path(v): v.bytes for v in service.manifest.versions}
    peaks = [heads + sum(of[path] for path in paths) for paths in held]
    block = max(block.bytes for block in service.manifest.blocks)
    assert len(held) > 1
    assert all(peak <= limit + block for peak in peaks)
    assert service.engine.rung.size.index == 0


async def test_answers_go_on_and_name_the_rung_that_computed_them(service, pico_ladder):
    from serving.engine.engine import load_engine

    changer, last = RungChanger(service), len(service.manifest.rungs) - 1
    seen = []

    async def ask() -> None:
        while not stop.is_set():
            seen.append(await service.predict(TEXTS, TASKS))

    stop = asyncio.Event()
    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for goal in (last, 0, last, 0):
        changer.begin(service.manifest.rungs[goal], WHY)
        await changer.finished()
        await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*asking)
    assert {"#0", f"#{last}"} <= {result.rung.name for result in seen}
    for name in {result.rung.name for result in seen}:
        alone = Service(load_engine(pico_ladder, rung_at(pico_ladder.manifest, int(name[1:]))), WHY)
        expected = await alone.predict(TEXTS, TASKS)
        await alone.aclose()
        for result in seen:
            if result.rung.name == name:
                for task in TASKS:
                    np.testing.assert_allclose(result.logits[task], expected.logits[task], atol=1e-5)


async def test_one_change_at_a_time(service):
    changer = RungChanger(service)
    changer.begin(service.manifest.rungs[0], WHY)
    with pytest.raises(ChangeUnderWay, match="#0"):
        changer.begin(service.manifest.rungs[1], WHY)
    await changer.finished()
    changer.begin(service.manifest.rungs[1], WHY)
    assert (await changer.finished()).state == "done"


def gone(*_: object, **__: object) -> None:
    raise OSError("gone")


async def test_a_file_that_cannot_be_read_leaves_the_rung_and_the_reason(service, monkeypatch):
    rung, choice = service.engine.rung, service.choice
    monkeypatch.setattr(weights, "load_file", gone)
    ended = await change(service, 0)
    assert ended.state == "failed"
    assert "verify" in ended.error
    assert (service.engine.rung, service.choice) == (rung, choice)
    assert (await service.predict(TEXTS, TASKS)).rung is rung
    assert service.metrics.rung_swaps.labels("failed")._value.get() == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
async def test_where_memory_runs_out_it_goes_as_far_as_it_can(service, error):
    await change(service, len(service.manifest.rungs) - 1)
    largest = service.manifest.rungs[len(service.manifest.rungs) // 3]
    swap = service.engine.swap

    def scarce(rung):
        if rung.size.bytes > largest.bytes:
            raise error
        swap(rung)

    service.engine.swap = scarce
    ended = await change(service, 0)
    assert ended.state == "failed"
    assert "memory" in ended.error
    assert ended.reached == service.engine.rung.name == f"#{largest.index}"
    assert f"#{largest.index}" in service.choice.reason
    assert "memory" in service.choice.reason
