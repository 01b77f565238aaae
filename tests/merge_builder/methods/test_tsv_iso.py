import numpy as np
import pytest

from merge_builder.errors import InputError
from merge_builder.methods import check_parameters, find_method
from merge_builder.methods.contract import REGISTRY

TSV_ISO = REGISTRY["tsv_iso"]


def merge(vectors: np.ndarray, **parameters: object) -> np.ndarray:
    assert TSV_ISO.prepare is not None
    return TSV_ISO.function(vectors, [TSV_ISO.prepare(vector) for vector in vectors], **parameters)


def dense(vectors: np.ndarray, share: float) -> np.ndarray:
    """Both papers' formulas with numpy's own SVD."""
    rank = max(1, min(vectors.shape[1:]) // len(vectors))
    parts = [np.linalg.svd(vector.astype(float), full_matrices=False) for vector in vectors]

    def orthogonal(matrix: np.ndarray) -> np.ndarray:
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        return left @ right

    u = orthogonal(np.concatenate([p[0][:, :rank] for p in parts], axis=1))
    vt = orthogonal(np.concatenate([p[2][:rank] for p in parts]))
    s = np.concatenate([p[1][:rank] for p in parts])
    left, values, right = np.linalg.svd(vectors.astype(float).sum(axis=0), full_matrices=False)
    return (1 - share) * (u * s) @ vt + share * 1.5 * values.mean() * left @ right


@pytest.mark.parametrize("shape", [(3, 24, 18), (2, 10, 30), (4, 16, 16), (5, 3, 4)])
def test_it_is_the_dense_formula(shape: tuple[int, int, int]) -> None:
    vectors = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    atol = 1e-5 if min(shape[1:]) >= shape[0] else 1e-4
    np.testing.assert_allclose(merge(vectors), dense(vectors, 0.5), atol=atol)
    np.testing.assert_allclose(merge(vectors, share=0.25, scale=2.0), 2 * dense(vectors, 0.25), atol=2 * atol)


def test_its_ends_are_the_two_methods() -> None:
    vectors = np.random.default_rng(1).normal(size=(3, 12, 9)).astype(np.float32)
    tsv, iso = REGISTRY["tsv"], REGISTRY["iso"]
    assert tsv.prepare is not None
    own = tsv.function(vectors, [tsv.prepare(vector) for vector in vectors])
    np.testing.assert_array_equal(merge(vectors, share=0.0), own)
    np.testing.assert_array_equal(merge(vectors, share=1.0), iso.function(vectors, scale=1.5))


def test_vectors_are_averaged_and_nothing_changed_stays_nothing() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    np.testing.assert_allclose(merge(vectors), vectors.mean(axis=0), atol=1e-7)
    assert not merge(np.zeros((2, 4, 6), np.float32)).any()


def test_a_member_that_did_not_move_and_equal_ones_stay_finite() -> None:
    a = np.random.default_rng(1).integers(-3, 4, size=(10, 12)).astype(np.float32)
    u, s, vt = np.linalg.svd(a.astype(float), full_matrices=False)
    best, even = (u[:, :5] * s[:5]) @ vt[:5], s.mean() * u @ vt
    np.testing.assert_allclose(merge(np.stack([np.zeros_like(a), a])), 0.5 * best + 0.75 * even, atol=1e-5)
    np.testing.assert_allclose(merge(np.stack([a, a])), 0.5 * best + 1.5 * even, atol=1e-5)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_the_share_is_checked(share: float) -> None:
    with pytest.raises(InputError, match="share"):
        check_parameters(find_method("tsv_iso"), {"share": share})
