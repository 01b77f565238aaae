import numpy as np

from merge_builder.methods.emr import emr


def dense_emr(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The paper's elect and mask, weight by weight."""
    unified = np.zeros(vectors.shape[1])
    masks = np.zeros(vectors.shape, bool)
    for i, column in enumerate(vectors.T.astype(np.float64)):
        sign = np.sign(column.mean())
        unified[i] = sign * max([abs(value) for value in column if value * sign > 0], default=0.0)
        masks[:, i] = column * sign > 0
    return unified, masks


def test_it_is_the_dense_formula() -> None:
    rng = np.random.default_rng(0)
    for members in (2, 3, 7):
        vectors = (rng.integers(-64, 64, size=(members, 300)) / 64).astype(np.float32)
        vectors[:, :20] = 0
        vectors[0, 20:40] = 0
        vectors[0, 40:60], vectors[1, 40:60], vectors[2:, 40:60] = 0.5, -0.5, 0  # no sign to elect
        vectors[:2, 60:80] = 0.25  # the same magnitude twice
        unified, masks = emr(vectors)
        expected_unified, expected_masks = dense_emr(vectors)
        np.testing.assert_array_equal(unified, expected_unified)
        np.testing.assert_array_equal(masks, expected_masks)
