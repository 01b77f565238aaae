import pytest

from deploy.memory import Memory
from deploy.sizing import FRACTION, Sizing, decide
from merge_builder.errors import InputError

AMPLE = Memory(1 << 40, "a large machine")


@pytest.fixture(scope="module")
def manifest(ladder):
    return ladder.manifest


def test_memory_decides_with_head_room(manifest):
    for wanted in (manifest.rungs[0], manifest.rungs[7], manifest.rungs[-1]):
        just = Memory(-int(-wanted.bytes // FRACTION), "a small box")
        decision = decide(manifest, Sizing(), just)
        assert decision.rung.bytes == wanted.bytes
        assert decision.budget == int(just.free * FRACTION)
        assert "a small box" in decision.reason


def test_a_stated_budget_decides_whatever_is_free(manifest):
    wanted = manifest.rungs[5]
    decision = decide(manifest, Sizing(budget=str(wanted.bytes)), Memory(0, "nothing"))
    assert (decision.rung.bytes, decision.budget) == (wanted.bytes, wanted.bytes)
    assert f"#{decision.rung.index} " in decision.reason


def test_a_named_rung_needs_no_budget(manifest):
    decision = decide(manifest, Sizing(rung="#3"), AMPLE)
    assert (decision.rung.index, decision.budget) == (3, None)


@pytest.mark.parametrize(
    ("sizing", "memory", "named"),
    [
        (Sizing(budget="1GB", rung="1"), AMPLE, "leave one of them out"),
        (Sizing(budget="much"), AMPLE, "'much'"),
        (Sizing(rung="0.5"), AMPLE, "0.5"),
        (Sizing(budget="10"), AMPLE, "least"),
        (Sizing(), Memory(10, "nothing"), "least"),
    ],
)
def test_what_cannot_be_is_said(manifest, sizing, memory, named):
    with pytest.raises(InputError, match=named):
        decide(manifest, sizing, memory)
