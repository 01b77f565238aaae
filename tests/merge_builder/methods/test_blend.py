import numpy as np
import pytest

from merge_builder.methods.contract import REGISTRY

BLEND = REGISTRY["blend"]


MIDWAY = 0.028  # halfway from short to long


def merge(vectors: np.ndarray, length: float = MIDWAY, **parameters: object) -> np.ndarray:
    assert BLEND.prepare is not None
    prepared = [BLEND.prepare(vector) for vector in vectors]
    return BLEND.function(vectors, [length] * len(vectors), prepared, **parameters)


def dense(vectors: np.ndarray, short: float = 0.5) -> np.ndarray:
    """The three papers' formulas with numpy's own SVD and inverse."""
    vectors = vectors.astype(float)
    rank = max(1, min(vectors.shape[1:]) // len(vectors))
    parts = [np.linalg.svd(vector, full_matrices=False) for vector in vectors]

    def orthogonal(matrix: np.ndarray) -> np.ndarray:
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        return left @ right

    u = orthogonal(np.concatenate([p[0][:, :rank] for p in parts], axis=1))
    vt = orthogonal(np.concatenate([p[2][:rank] for p in parts]))
    s = np.concatenate([p[1][:rank] for p in parts])
    left, values, right = np.linalg.svd(vectors.sum(axis=0), full_matrices=False)
    grams = [vector.T @ vector / (vector**2).sum() for vector in vectors]
    rho = 0.1 * np.trace(sum(grams)) / vectors.shape[2]
    wanted = sum(vector @ gram for vector, gram in zip(vectors, grams, strict=True)) + rho * vectors.mean(axis=0)
    wudi = wanted @ np.linalg.inv(sum(grams) + rho * np.eye(vectors.shape[2]))
    share, part = (1 - 2 / len(vectors)) / 3, short + (1 - short) / len(vectors)
    return (1 - share) * ((1 - part) * (u * s) @ vt + part * wudi) + share * 1.5 * values.mean() * left @ right


@pytest.mark.parametrize("shape", [(3, 24, 18), (2, 10, 30), (4, 16, 16), (5, 3, 4)])
def test_it_is_the_dense_formula(shape: tuple[int, int, int]) -> None:
    vectors = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    atol = 1e-5 if min(shape[1:]) >= shape[0] else 1e-4
    np.testing.assert_allclose(merge(vectors), dense(vectors), atol=atol)
    np.testing.assert_allclose(merge(vectors, scale=2.0), 2 * dense(vectors), atol=2 * atol)


@pytest.mark.parametrize(("length", "short"), [(0.0, 1.0), (0.014, 256 / 257), (0.056, 1 / 257), (5.0, 0.0)])
def test_short_task_vectors_are_left_to_wudi_and_of_long_ones_a_share(length: float, short: float) -> None:
    vectors = np.random.default_rng(3).normal(size=(3, 24, 18)).astype(np.float32)
    np.testing.assert_allclose(merge(vectors, length), dense(vectors, short), atol=1e-5)


def test_vectors_are_averaged_and_nothing_changed_stays_nothing() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    np.testing.assert_allclose(merge(vectors), vectors.mean(axis=0), atol=1e-7)
    assert not merge(np.zeros((2, 4, 6), np.float32)).any()


def test_a_member_that_did_not_move_and_equal_ones_stay_finite() -> None:
    a = np.random.default_rng(1).integers(-3, 4, size=(10, 12)).astype(np.float32)
    u, s, vt = np.linalg.svd(a.astype(float), full_matrices=False)
    best = (u[:, :5] * s[:5]) @ vt[:5]
    np.testing.assert_allclose(merge(np.stack([a, a]), 1e3), (best + a) / 2, atol=1e-4)
    still = merge(np.stack([np.zeros_like(a), a]), 1e3)  # of which WUDI makes something between a / 2 and a
    assert 0.5 * np.linalg.norm(a) < np.linalg.norm(2 * still - best) < np.linalg.norm(a)
