import pytest

from deploy.watch import Steady


def first_change(sizes, *, current=100, every=1.0, **options):
    """The second at which it goes, looking once in `every` seconds; None if never."""
    steady = Steady(**options)
    for number, fitting in enumerate(sizes):
        if steady.look(number * every, current, fitting):
            return number * every
    return None


def test_less_is_followed_when_it_lasts():
    assert first_change([100, 100, *[60] * 30], down_seconds=10) == 12


def test_more_is_followed_later():
    assert first_change([150] * 100, down_seconds=10, up_seconds=60) == 60


@pytest.mark.parametrize("flicker", [[60] * 9 + [100], [60] * 5 + [150] * 5, [150] * 50 + [100]])
def test_a_flicker_is_not_followed(flicker):
    assert first_change(flicker * 20, down_seconds=10, up_seconds=60) is None


def test_a_small_gain_is_not_worth_a_change():
    assert first_change([101] * 200, up_seconds=60, least_gain=0.02) is None


def test_after_a_change_it_waits_anew():
    steady = Steady(down_seconds=10)
    changes = [second for second in range(40) if steady.look(second, 100, 60)]
    assert changes == [10, 21, 32]
