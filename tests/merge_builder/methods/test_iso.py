import numpy as np

from merge_builder.methods.iso import iso


def test_every_singular_value_is_the_scaled_mean_of_the_sums() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 20, 8)).astype(np.float32)
    u, s, vt = np.linalg.svd(vectors.astype(float).sum(axis=0), full_matrices=False)
    np.testing.assert_allclose(iso(vectors, scale=1.5), 1.5 * s.mean() * u @ vt, atol=1e-5)


def test_vectors_are_averaged_and_nothing_changed_stays_nothing() -> None:
    vectors = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(iso(vectors), vectors.mean(axis=0), atol=1e-7)
    assert not iso(np.zeros((2, 4, 6), np.float32)).any()


def test_equal_members_and_one_that_did_not_move() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(-3, 4, size=(2, 6, 9)).astype(np.float32)
    vectors = np.stack([a, np.zeros_like(a), b, a])
    u, s, vt = np.linalg.svd(2 * a.astype(float) + b, full_matrices=False)
    np.testing.assert_allclose(iso(vectors), s.mean() * u @ vt, atol=1e-5)
