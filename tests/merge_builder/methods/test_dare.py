import numpy as np
import pytest

from merge_builder.methods.dare import ELEMENTS_A_STEP, Dare, sparsify


@pytest.mark.parametrize("drop", [0.0, 0.3, 0.9])
def test_the_share_and_the_expectation(drop: float) -> None:
    values = np.ones(200_000, np.float32)
    sparsify(values, Dare(drop=drop), "t", "w", 0)
    kept = values[values != 0]
    assert len(kept) / len(values) == pytest.approx(1 - drop, abs=0.005)
    np.testing.assert_allclose(kept, 1 / (1 - drop), rtol=1e-6)


def test_what_is_dropped_does_not_depend_on_the_chunks() -> None:
    whole = np.ones(1003, np.float32)
    sparsify(whole, Dare(drop=0.5), "t", "w", 0)
    for width in (ELEMENTS_A_STEP, 5 * ELEMENTS_A_STEP, 1000):
        pieces = np.ones(1003, np.float32)
        for start in range(0, 1003, width):
            sparsify(pieces[start : start + width], Dare(drop=0.5), "t", "w", start)
        np.testing.assert_array_equal(pieces, whole)


def test_task_tensor_and_seed_draw_their_own_numbers() -> None:
    draws = []
    for seed, task, tensor in ((0, "t", "w"), (1, "t", "w"), (0, "u", "w"), (0, "t", "v"), (0, "t", "w")):
        values = np.ones(64, np.float32)
        sparsify(values, Dare(drop=0.5, seed=seed), task, tensor, 0)
        draws.append(values.tobytes())
    assert len(set(draws)) == 4
    assert draws[0] == draws[4]
