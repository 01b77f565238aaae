"""The line through recent batches, against lines that are known."""

import math

import pytest

from serving.speed import Speed


def taught(*batches: tuple[int, float]) -> Speed:
    speed = Speed()
    for tokens, seconds in batches:
        speed.record(tokens, seconds)
    return speed


def test_nothing_is_known_of_nothing() -> None:
    assert Speed().seconds(1000) == 0
    assert Speed().tokens(1.0) == math.inf


def test_a_line_is_found_from_batches_that_lie_on_it() -> None:
    speed = taught(*((tokens, 0.5 + 0.01 * tokens) for tokens in (10, 200, 30, 70)))

    assert speed.seconds(1000) == pytest.approx(10.5)
    assert speed.seconds(1000, batches=3) == pytest.approx(11.5)
    assert speed.tokens(10.5) == pytest.approx(1000)
    assert speed.tokens(0.2) == 0


def test_batches_of_one_size_are_taken_to_cost_by_their_tokens() -> None:
    assert taught((50, 1.0), (50, 1.0)).seconds(100) == pytest.approx(2.0)


def test_no_batch_and_no_token_takes_less_than_no_time() -> None:
    steep = taught((10, 0.1), (20, 10.0))  # a line through these is below 0 at 0
    falling = taught((10, 2.0), (1000, 1.0))

    assert 0 < steep.seconds(1) < steep.seconds(2)
    assert falling.seconds(1) == pytest.approx(falling.seconds(1_000_000))
    assert 1.0 < falling.seconds(1) < 2.0


def test_the_past_is_forgotten() -> None:
    speed = taught(*[(100, 9.0), (200, 18.0)] * 5, *[(100, 0.1), (200, 0.2)] * 40)

    assert speed.seconds(300) == pytest.approx(0.3, rel=0.1)


def test_one_batch_during_which_the_machine_stood_still_is_not_believed() -> None:
    steady = [(tokens, 0.05 + 0.001 * tokens) for tokens in (100, 900, 400, 700)] * 5

    speed = taught(*steady, (500, 30.0))

    assert speed.seconds(500) < 2 * 0.55
    assert speed.seconds(2000) < 2 * 2.05


def test_a_machine_that_became_slower_for_good_is_believed() -> None:
    before = [(tokens, 0.05 + 0.001 * tokens) for tokens in (100, 900, 400, 700)] * 5
    after = [(tokens, 20 * seconds) for tokens, seconds in before]

    assert taught(*before, *after, *after).seconds(500) == pytest.approx(20 * 0.55, rel=0.1)


def test_of_few_batches_each_is_believed() -> None:
    """The first after a start are the smallest."""
    assert taught((3, 0.001), (3, 0.001), (60, 1.0)).seconds(60) == pytest.approx(1.0, rel=0.1)
