import numpy as np
import pytest

from merge_builder.tuning.blend import arc

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.normal(size=(2, 6, 4))


def test_the_arc_of_a_tensor_to_itself_is_the_tensor() -> None:
    np.testing.assert_allclose(arc(ONE, ONE, 0.3), ONE, atol=1e-12)


def test_the_ends_are_the_tensors_and_the_middle_halves_the_angle() -> None:
    np.testing.assert_allclose(arc(ONE, OTHER, 0.0), ONE, atol=1e-12)
    np.testing.assert_allclose(arc(ONE, OTHER, 1.0), OTHER, atol=1e-12)
    one, other = ONE / np.linalg.norm(ONE), OTHER / np.linalg.norm(OTHER)
    middle = arc(one, other, 0.5)
    assert np.linalg.norm(middle) == pytest.approx(1)
    assert (middle * one).sum() == pytest.approx((middle * other).sum())


def test_parallel_and_empty_tensors_are_joined_by_a_line() -> None:
    np.testing.assert_allclose(arc(ONE, 2 * ONE, 0.25), 1.25 * ONE)
    np.testing.assert_allclose(arc(ONE, 0 * ONE, 0.25), 0.75 * ONE)
