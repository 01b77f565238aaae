import numpy as np
import pytest

from merge_builder.methods.consensus import consensus, consensus_ties
from merge_builder.statistics import Magnitudes, count_magnitudes

from .test_ties import dense_ties


def dense_masks(vectors: np.ndarray, unified: np.ndarray, cut: float) -> np.ndarray:
    masks = np.zeros(vectors.shape, bool)
    for k, i in np.ndindex(vectors.shape):
        masks[k, i] = abs(vectors[k, i]) > cut * abs(unified[i] - vectors[k, i])
    return masks


def _vectors(members: int) -> np.ndarray:
    vectors = (np.random.default_rng(members).integers(-64, 64, size=(members, 300)) / 64).astype(np.float32)
    vectors[:, :20] = 0
    vectors[0, 20:40] = 0
    vectors[0, 40:60] = -vectors[1, 40:60]
    vectors[:, 60:80] = vectors[0, 60:80]  # all agree, so at cut < 1 every mask holds them
    return vectors


@pytest.mark.parametrize(("members", "cut", "scale"), [(2, 0.3125, 1.0), (4, 0.5, 1.5), (8, 0.0, 0.75)])
def test_on_task_arithmetic_it_is_the_dense_formula(members: int, cut: float, scale: float) -> None:
    vectors = _vectors(members)
    expected = scale * vectors.astype(np.float64).mean(axis=0)
    unified, masks = consensus(vectors, cut=cut, scale=scale)
    np.testing.assert_array_equal(unified, expected)  # sums of 64ths over a power of two are exact
    np.testing.assert_array_equal(masks, dense_masks(vectors, expected, cut))
    assert not masks[:, :20].any()
    assert 0 < masks.mean() < 1


@pytest.mark.parametrize(("members", "density", "cut"), [(2, 0.2, 0.3), (5, 0.5, 0.6)])
def test_on_ties_it_masks_by_the_untrimmed_vectors(members: int, density: float, cut: float) -> None:
    vectors = _vectors(members)
    magnitudes = [Magnitudes(count_magnitudes(vector)) for vector in vectors]
    unified, masks = consensus_ties(vectors, magnitudes, cut=cut, density=density, scale=1.0)
    expected = dense_ties(vectors, density, 1.0)
    np.testing.assert_allclose(unified, expected, atol=1e-6)
    near = np.abs(np.abs(vectors) - cut * np.abs(expected - vectors)) < 1e-5  # rounding may decide either way
    assert near.mean() < 0.1
    np.testing.assert_array_equal(masks[~near], dense_masks(vectors, expected, cut)[~near])
