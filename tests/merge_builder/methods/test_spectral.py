import numpy as np
import pytest

from merge_builder.methods.spectral import polar, thin_svd


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (9, 9), (5, 1)])
def test_it_is_numpys_svd(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).normal(size=shape)
    u, s, vt = thin_svd(matrix)
    np.testing.assert_allclose(s, np.linalg.svd(matrix, compute_uv=False), rtol=1e-9)
    np.testing.assert_allclose((u * s) @ vt, matrix, atol=1e-9)
    np.testing.assert_allclose(u.T @ u, np.eye(min(shape)), atol=1e-9)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    np.testing.assert_allclose(polar(matrix), left @ right, atol=1e-9)


def test_null_directions_stay_null() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(20, 3)) @ rng.normal(size=(3, 10))
    u, s, vt = thin_svd(matrix)
    assert np.count_nonzero(s) == 3
    assert not u[:, 3:].any()
    assert not vt[3:].any()
    np.testing.assert_allclose((u * s) @ vt, matrix, atol=1e-6)
    assert np.linalg.matrix_rank(polar(matrix), tol=1e-6) == 3
    np.testing.assert_array_equal(polar(np.zeros((4, 3))), np.zeros((4, 3)))
