import numpy as np
import pytest

from merge_builder.methods.pcb import pcb
from merge_builder.statistics import Magnitudes, count_magnitudes


def dense_pcb(vectors: np.ndarray, density: float) -> np.ndarray:
    flat = vectors.reshape(len(vectors), -1).astype(float)
    weights = []
    for vector in flat:
        ordered = np.sort(np.abs(vector))
        low, high = ordered[0], ordered[-1]  # short vectors: the 0.01 % tails are the extremes
        strength = ((np.abs(vector) - low) / (high - low)) ** 2
        beta = np.exp(len(flat) * strength) * np.tanh(vector * flat.sum(axis=0))
        floor = np.sort(beta)[::-1][int(density * len(beta)) - 1]
        weights.append((np.maximum(beta, floor) - floor) / (beta.max() - floor))
    total = np.sum(weights, axis=0)
    top = np.sum(np.array(weights) * flat, axis=0)
    return np.where(total > 0, top / np.where(total > 0, total, 1), 0).reshape(vectors.shape[1:])


@pytest.mark.parametrize("density", [0.1, 0.5])
def test_it_is_the_dense_formula(density: float) -> None:
    vectors = (np.random.default_rng(0).integers(-99, 99, size=(3, 20, 30)) / 64).astype(np.float32)
    magnitudes = [Magnitudes(count_magnitudes(vector.ravel())) for vector in vectors]
    found = pcb(vectors, magnitudes, density=density, scale=2.0)
    np.testing.assert_allclose(found, 2 * dense_pcb(vectors, density), atol=1e-5)


def test_nothing_changed_stays_nothing() -> None:
    vectors = np.zeros((2, 4, 6), np.float32)
    assert not pcb(vectors, [Magnitudes(count_magnitudes(v.ravel())) for v in vectors]).any()


def test_equal_members_and_one_that_did_not_move() -> None:
    a = (np.random.default_rng(1).integers(-99, 99, size=(20, 30)) / 64).astype(np.float32)
    vectors = np.stack([a, np.zeros_like(a), a])
    magnitudes = [Magnitudes(count_magnitudes(vector.ravel())) for vector in vectors]
    found = pcb(vectors, magnitudes, density=0.25)
    kept = np.abs(a) > np.sort(np.abs(a), axis=None)[-150]  # only the floor itself has the weight 0
    np.testing.assert_allclose(found, np.where(kept, a, 0), atol=1e-6)
