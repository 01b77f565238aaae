import numpy as np
import pytest

from merge_builder.methods.contract import REGISTRY

TSV = REGISTRY["tsv"]


def merge(vectors: np.ndarray, **parameters: object) -> np.ndarray:
    assert TSV.prepare is not None
    return TSV.function(vectors, [TSV.prepare(vector) for vector in vectors], **parameters)


def dense_tsv(vectors: np.ndarray) -> np.ndarray:
    """Section 4 of the paper with numpy's own SVD."""
    rank = min(vectors.shape[1:]) // len(vectors)
    parts = [np.linalg.svd(vector.astype(float), full_matrices=False) for vector in vectors]
    u = np.concatenate([p[0][:, :rank] for p in parts], axis=1)
    s = np.concatenate([p[1][:rank] for p in parts])
    vt = np.concatenate([p[2][:rank] for p in parts])

    def orthogonal(matrix: np.ndarray) -> np.ndarray:
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        return left @ right

    return orthogonal(u) @ np.diag(s) @ orthogonal(vt)


@pytest.mark.parametrize("shape", [(3, 24, 18), (2, 10, 30), (4, 16, 16)])
def test_it_is_the_dense_formula(shape: tuple[int, int, int]) -> None:
    vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(merge(vectors), dense_tsv(vectors), atol=1e-5)
    np.testing.assert_allclose(
        merge(vectors, scale={2: 1.0, 4: 3.0}), (len(vectors) - 1) * dense_tsv(vectors), atol=1e-5
    )


def test_vectors_are_averaged_and_nothing_changed_stays_nothing() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    np.testing.assert_allclose(merge(vectors), vectors.mean(axis=0), atol=1e-7)
    assert not merge(np.zeros((2, 4, 6), np.float32)).any()


def test_equal_members_and_one_that_did_not_move() -> None:
    """Equal members are one direction, not two to part: what is left is each matrix's own best approximation."""
    rng = np.random.default_rng(1)
    a = rng.integers(-3, 4, size=(10, 12)).astype(np.float32)
    u, s, vt = np.linalg.svd(a.astype(float), full_matrices=False)
    np.testing.assert_allclose(merge(np.stack([a, a])), (u[:, :5] * s[:5]) @ vt[:5], atol=1e-5)
    np.testing.assert_allclose(merge(np.stack([np.zeros_like(a), a])), (u[:, :5] * s[:5]) @ vt[:5], atol=1e-5)
