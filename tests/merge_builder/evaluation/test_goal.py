import pytest

from merge_builder.errors import InputError
from merge_builder.evaluation import smallest_reaching, write_scores
from merge_builder.ladder import Manifest


@pytest.fixture
def manifest(make_ladder, make_score) -> Manifest:
    """Means .75 at 1x, .9 in between at rung 4, .8 at the larger rung 2: not monotone. Worst: .5, .8, .8."""
    ladder = make_ladder()
    right = {0: (10, 10), 2: (8, 8), 4: (10, 8), len(ladder.manifest.rungs) - 1: (10, 5)}
    scores = [
        make_score(rung, task, "1" * count + "0" * (10 - count))
        for rung, counts in right.items()
        for task, count in zip("ab", counts, strict=True)
    ]
    return write_scores(ladder, scores).manifest


@pytest.mark.parametrize(
    ("goal", "worst", "rung"),
    [(0.75, False, -1), (0.76, False, 4), (0.85, False, 4), (0.91, False, 0), (0.5, True, -1), (0.8, True, 4)],
)
def test_the_smallest_rung_that_reaches_the_goal(manifest: Manifest, goal: float, worst: bool, rung: int) -> None:
    assert smallest_reaching(manifest, goal, worst=worst).size == manifest.rungs[rung]


def test_a_goal_out_of_reach_tells_the_best(manifest: Manifest) -> None:
    with pytest.raises(InputError, match=r"reaches 1.2 .* rung #0 \(3.00x\) with 1.0000"):
        smallest_reaching(manifest, 1.2, worst=False)


def test_a_ladder_without_scores_says_how_to_get_them(make_ladder) -> None:
    with pytest.raises(InputError, match="mergeladder evaluate"):
        smallest_reaching(make_ladder().manifest, 0.9, worst=False)
