import numpy as np
import pytest

from merge_builder.errors import InputError
from merge_builder.methods import check_parameters, find_method
from merge_builder.methods.contract import REGISTRY

TSV_WUDI = REGISTRY["tsv_wudi"]


def merge(vectors: np.ndarray, **parameters: object) -> np.ndarray:
    assert TSV_WUDI.prepare is not None
    return TSV_WUDI.function(vectors, [TSV_WUDI.prepare(vector) for vector in vectors], **parameters)


def dense(vectors: np.ndarray, share: float, ridge: float) -> np.ndarray:
    """Both papers' formulas with numpy's own SVD and inverse."""
    vectors = vectors.astype(float)
    rank = max(1, min(vectors.shape[1:]) // len(vectors))
    parts = [np.linalg.svd(vector, full_matrices=False) for vector in vectors]

    def orthogonal(matrix: np.ndarray) -> np.ndarray:
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        return left @ right

    u = orthogonal(np.concatenate([p[0][:, :rank] for p in parts], axis=1))
    vt = orthogonal(np.concatenate([p[2][:rank] for p in parts]))
    s = np.concatenate([p[1][:rank] for p in parts])
    grams = [vector.T @ vector / (vector**2).sum() for vector in vectors]
    rho = ridge * np.trace(sum(grams)) / vectors.shape[2]
    right_side = sum(vector @ gram for vector, gram in zip(vectors, grams, strict=True)) + rho * vectors.mean(axis=0)
    calm = right_side @ np.linalg.inv(sum(grams) + rho * np.eye(vectors.shape[2]))
    return (1 - share) * (u * s) @ vt + share * calm


@pytest.mark.parametrize("shape", [(3, 24, 18), (2, 10, 30), (4, 16, 16), (5, 3, 4)])
def test_it_is_the_dense_formula(shape: tuple[int, int, int]) -> None:
    vectors = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    atol = 1e-5 if min(shape[1:]) >= shape[0] else 1e-4
    np.testing.assert_allclose(merge(vectors), dense(vectors, 0.5, 0.1), atol=atol)
    found = merge(vectors, share=0.25, ridge=0.5, scale=2.0)
    np.testing.assert_allclose(found, 2 * dense(vectors, 0.25, 0.5), atol=2 * atol)


def test_its_ends_are_the_two_methods() -> None:
    vectors = np.random.default_rng(1).normal(size=(3, 12, 9)).astype(np.float32)
    tsv, wudi = REGISTRY["tsv"], REGISTRY["wudi"]
    assert tsv.prepare is not None
    own = tsv.function(vectors, [tsv.prepare(vector) for vector in vectors])
    np.testing.assert_array_equal(merge(vectors, share=0.0), own)
    np.testing.assert_array_equal(merge(vectors, share=1.0), wudi.function(vectors, ridge=0.1))


def test_vectors_are_averaged_and_nothing_changed_stays_nothing() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    np.testing.assert_allclose(merge(vectors), vectors.mean(axis=0), atol=1e-7)
    assert not merge(np.zeros((2, 4, 6), np.float32)).any()


def test_equal_members_give_all_of_wudi_and_the_strongest_half_of_tsv() -> None:
    a = np.random.default_rng(1).integers(-3, 4, size=(10, 12)).astype(np.float32)
    u, s, vt = np.linalg.svd(a.astype(float), full_matrices=False)
    best = (u[:, :5] * s[:5]) @ vt[:5]
    np.testing.assert_allclose(merge(np.stack([a, a]), ridge=1e-9), 0.5 * best + 0.5 * a, atol=1e-4)


@pytest.mark.parametrize("wrong", [{"share": -0.1}, {"share": 1.1}, {"ridge": 0}])
def test_parameters_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        check_parameters(find_method("tsv_wudi"), wrong)
