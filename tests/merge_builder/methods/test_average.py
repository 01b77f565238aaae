import numpy as np

from merge_builder.methods.average import average


def test_average_is_the_mean() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    expected = sum(vectors.astype(np.float64)) / 5
    np.testing.assert_allclose(average(vectors), expected, atol=1e-7)
    assert average(vectors).dtype == np.float32
