"""Gauges of the rung against the ladder's files."""

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from merge_builder.ladder import Ladder, rung_at
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded
from serving.rung_metrics import weights_held
from serving.service import Choice, Service


def payload(path) -> int:
    return sum(tensor.nbytes for tensor in load_file(path).values())


def files(ladder: Ladder, engine: Engine, shared: bool) -> list[Path]:
    """Those of the versions that several tasks share, or of the others."""
    return [ladder.version_path(v) for v in engine.rung.stored() if (len(v.tasks) > 1) == shared]


def test_memory_is_the_payload_of_the_files_in_use(pico_ladder: Ladder, middle_rung: int) -> None:
    for index in (0, middle_rung, len(pico_ladder.manifest.rungs) - 1):
        engine = load_engine(pico_ladder, rung_at(pico_ladder.manifest, index))
        assert weights_held(engine) == {
            "shared": sum(map(payload, files(pico_ladder, engine, shared=True))),
            "task": sum(map(payload, files(pico_ladder, engine, shared=False))),
            "head": sum(payload(pico_ladder.head_path(t.name)) for t in pico_ladder.manifest.tasks),
        }


def test_memory_of_int8_weights_is_what_they_take_and_not_what_is_stored(pico_ladder: Ladder, middle_rung: int) -> None:
    rung = rung_at(pico_ladder.manifest, middle_rung)
    held, stored = (
        weights_held(load_engine(pico_ladder, rung, dtype="int8")),
        weights_held(load_engine(pico_ladder, rung)),
    )

    spared = {"shared": 0, "task": 0}
    for version in rung.stored():
        tensors = load_file(pico_ladder.version_path(version))
        matrices = sum(t.size for name, t in tensors.items() if t.ndim == 2 and "embeddings" not in name)
        spared["shared" if len(version.tasks) > 1 else "task"] += 3 * matrices
    for kind, count in spared.items():
        assert 0.5 * count < stored[kind] - held[kind] <= count  # a byte a weight, and what goes with it
    assert held["head"] == stored["head"]


def test_activations_are_what_batches_made_the_process_take(engine: Engine) -> None:
    service = Service(engine, Choice(None, "because"))
    value = service.metrics.registry.get_sample_value
    name, kind = "mergeladder_memory_used_bytes", {"kind": "activations"}
    engine.run([Encoded((2, 6, 3), (0,) * 3, ("ant",))])
    before = value(name, kind)
    texts = [Encoded((2, *[6] * 38, 3), (0,) * 40, ("ant",))] * 2000
    engine.run(texts)
    after = value(name, kind)

    largest = 80_000 * 48 * 4  # the feed-forward block's, float32
    assert before is not None
    assert after is not None
    assert after - before > largest


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
