import pytest

from merge_builder.ladder import rung_at
from merge_builder.ladder.additions import Score
from serving.errors import RequestError, RungTooSmall
from serving.floor import check_rung, least_rung


@pytest.fixture
def manifest(pico_ladder):
    return pico_ladder.manifest


def scored(manifest, **accuracies):
    """The manifest with scores: `ant={0: 0.9, 5: 0.8}` is of task ant at rungs #0 and #5."""
    nothing = {"rows": 10, "data_sha256": "0" * 64, "interval": (0, 1), "macro_f1": 0.5, "macro_f1_interval": (0, 1)}
    scores = tuple(
        Score(rung=rung, task=task, accuracy=accuracy, right="", **nothing)
        for task, own in accuracies.items()
        for rung, accuracy in own.items()
    )
    return manifest.model_copy(update={"scores": scores})


def least(manifest, *tasks, floors=None, min_rung=None, min_score=None):
    found = least_rung(manifest, tasks, floors or {}, min_rung=min_rung, min_score=min_score)
    return None if found is None else found.index


def test_nothing_asked_is_no_floor(manifest):
    assert least(manifest, "ant", "bee") is None


def test_the_largest_of_all_that_is_asked_holds(manifest):
    floors = {"ant": manifest.rungs[7], "bee": manifest.rungs[3]}
    assert least(manifest, "ant", floors=floors) == 7
    assert least(manifest, "ant", "bee", floors=floors) == 3
    assert least(manifest, "cat", floors=floors) is None
    assert least(manifest, "ant", floors=floors, min_rung="#5") == 5
    assert least(manifest, "ant", floors=floors, min_rung="#9") == 7


def test_a_score_holds_from_a_rung_on(manifest):
    known = scored(manifest, ant={0: 0.8, 4: 0.8, 8: 0.7, 12: 0.79, 14: 0.4}, bee={0: 0.5, 14: 0.5})
    assert least(known, "ant", min_score=0.95) == 4  # #12 keeps it too, but #8, which is larger, does not
    assert least(known, "ant", min_score=0.8) == 12
    assert least(known, "bee", min_score=1.0) == 14
    assert least(known, "ant", "bee", min_score=0.95) == 4


def test_a_score_that_cannot_be_judged(manifest):
    with pytest.raises(RequestError, match="evaluate") as caught:
        least(manifest, "ant", min_score=0.9)
    assert caught.value.param == "parameters.min_score"
    with pytest.raises(RequestError, match="evaluate"):
        least(scored(manifest, ant={4: 0.9}), "ant", min_score=0.9)


def test_the_rung_that_is_needed_is_told(manifest):
    check_rung(rung_at(manifest, 5), manifest.rungs[5])
    with pytest.raises(RungTooSmall, match="#4") as caught:
        check_rung(rung_at(manifest, 5), manifest.rungs[4])
    assert caught.value.least == 4
