import numpy as np
import pytest

from merge_builder.methods.mean import mean


@pytest.mark.parametrize("members", [1, 2, 3, 7])
def test_it_is_numpys_mean_bit_for_bit(members: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(members, 40, 50)).astype(np.float32)
    before = vectors.copy()
    np.testing.assert_array_equal(mean(vectors), vectors.mean(axis=0))
    np.testing.assert_array_equal(vectors, before)
