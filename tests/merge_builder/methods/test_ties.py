import numpy as np
import pytest

from merge_builder.methods.ties import ties
from merge_builder.statistics import Magnitudes, count_magnitudes


def dense_ties(vectors: np.ndarray, density: float, scale: float) -> np.ndarray:
    """The paper's three steps on whole vectors, weight by weight."""
    trimmed = np.zeros_like(vectors, dtype=np.float64)
    for row, vector in zip(trimmed, vectors, strict=True):
        order = np.argsort(-np.abs(vector), kind="stable")[: max(1, int(density * len(vector)))]
        limit = np.abs(vector[order[-1]])
        keep = (np.abs(vector) >= limit) & (vector != 0)
        row[keep] = vector[keep]
    merged = np.zeros(vectors.shape[1])
    for i, column in enumerate(trimmed.T):
        sign = np.sign(column.sum())
        agreeing = [value for value in column if value * sign > 0]
        merged[i] = np.mean(agreeing) if agreeing else 0.0
    return scale * merged


@pytest.mark.parametrize(("members", "density", "scale"), [(2, 0.2, 1.0), (5, 0.1, 1.5), (3, 1.0, 0.7)])
def test_it_is_the_dense_formula(members: int, density: float, scale: float) -> None:
    rng = np.random.default_rng(members)
    # Multiples of 1/64 share histogram bins only with their equals, so the streamed threshold is the exact one.
    vectors = (rng.integers(-128, 128, size=(members, 500)) / 64).astype(np.float32)
    vectors[:, :20] = 0
    vectors[0, 20:40] = -vectors[1, 20:40]
    magnitudes = [Magnitudes(count_magnitudes(vector)) for vector in vectors]
    expected = dense_ties(vectors, density, scale)
    np.testing.assert_allclose(ties(vectors, magnitudes, density=density, scale=scale), expected, atol=1e-6)


def test_trimming_is_global_over_the_task_and_not_over_the_stretch() -> None:
    whole = np.concatenate([np.full(80, 0.1), np.full(20, 5.0)]).astype(np.float32)
    magnitudes = [Magnitudes(count_magnitudes(whole))] * 2
    small = np.stack([whole[:10], whole[:10]])
    np.testing.assert_array_equal(ties(small, magnitudes, density=0.2), np.zeros(10, np.float32))
