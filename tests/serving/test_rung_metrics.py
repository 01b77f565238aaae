"""Gauges of the rung against the ladder's files."""

import pytest
from safetensors.numpy import load_file

from merge_builder.ladder import Ladder, rung_at
from serving.engine.engine import Engine
from serving.rung_metrics import memory_used
from serving.service import Choice, Service


def payload(path) -> int:
    return sum(tensor.nbytes for tensor in load_file(path).values())


def test_memory_is_the_payload_of_the_files_in_use(pico_ladder: Ladder, middle_rung: int) -> None:
    for index in (0, middle_rung, len(pico_ladder.manifest.rungs) - 1):
        rung = rung_at(pico_ladder.manifest, index)
        used = memory_used(pico_ladder.manifest, rung)
        stored = rung.stored()
        assert used["shared"] == sum(payload(pico_ladder.version_path(v)) for v in stored if len(v.tasks) > 1)
        assert used["task"] == sum(payload(pico_ladder.version_path(v)) for v in stored if len(v.tasks) == 1)
        assert used["head"] == sum(payload(pico_ladder.head_path(t.name)) for t in pico_ladder.manifest.tasks)


@pytest.mark.parametrize("budget", [None, 1000])
def test_gauges_follow_the_engine(engine: Engine, middle_rung: int, budget: int | None) -> None:
    service = Service(engine, Choice(budget, "because"))
    value = service.metrics.registry.get_sample_value
    revision = engine.ladder.manifest.revision

    def labels(index: int) -> dict[str, str]:
        return {"rung": f"#{index}", "revision": revision, "device": "cpu"}

    assert value("mergeladder_rung_info", labels(middle_rung)) == 1
    engine.swap(rung_at(engine.ladder.manifest, 0))
    assert value("mergeladder_rung_info", labels(middle_rung)) is None
    assert value("mergeladder_rung_info", labels(0)) == 1
    assert value("mergeladder_rung_scale") == 3
    assert value("mergeladder_memory_saved_bytes") == 0
    assert value("mergeladder_memory_budget_bytes") == budget
    assert value("mergeladder_ready") == 0
