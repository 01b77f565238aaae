"""The invariants of the formula, against arithmetic in fp64."""

import numpy as np
import pytest

from merge_builder.methods.average import average
from merge_builder.methods.fisher import fisher as static_fisher
from merge_builder.tuning.df_merge import df_merge

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(5, 6, 4)).astype(np.float32)
FISHER = RNG.random(size=VECTORS.shape).astype(np.float32)
MU = [0.3, 1.0, 2.5, 0.0, 1.7]
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def test_uniform_values_and_lambda_of_one_over_m_give_the_average_bit_for_bit() -> None:
    np.testing.assert_array_equal(df_merge(VECTORS, np.ones_like(VECTORS), [1.0] * 5), average(VECTORS))


def test_uniform_values_give_task_arithmetic_with_a_scale_each() -> None:
    expected = sum(mu / 5 * tau.astype(float) for mu, tau in zip(MU, VECTORS, strict=True))
    np.testing.assert_allclose(df_merge(VECTORS, np.ones_like(VECTORS), MU), expected, **CLOSE)


def test_mu_of_one_is_fisher_merging() -> None:
    np.testing.assert_allclose(df_merge(VECTORS, FISHER, [1.0] * 5), static_fisher(VECTORS, FISHER), **CLOSE)


def test_it_is_the_papers_formula() -> None:
    lam = np.array(MU).reshape(-1, 1, 1) / 5
    expected = 5 * (FISHER.astype(float) * lam * VECTORS).sum(0) / FISHER.astype(float).sum(0)
    np.testing.assert_allclose(df_merge(VECTORS, FISHER, MU), expected, **CLOSE)


def test_it_lies_in_the_hull_of_the_scaled_vectors() -> None:
    scaled = VECTORS * np.array(MU, np.float32).reshape(-1, 1, 1)
    merged = df_merge(VECTORS, FISHER, MU)
    assert (merged >= scaled.min(0) - 1e-6).all()
    assert (merged <= scaled.max(0) + 1e-6).all()


def test_the_scale_of_the_values_and_the_order_of_the_experts_make_no_difference() -> None:
    merged = df_merge(VECTORS, FISHER, MU)
    np.testing.assert_allclose(df_merge(VECTORS, FISHER * np.float32(1e-6), MU), merged, **CLOSE)
    order = [3, 1, 4, 0, 2]
    np.testing.assert_allclose(df_merge(VECTORS[order], FISHER[order], [MU[i] for i in order]), merged, **CLOSE)


def test_one_expert_is_itself_and_nothing_is_the_base() -> None:
    np.testing.assert_allclose(df_merge(VECTORS[:1], FISHER[:1], [1.0]), VECTORS[0], **CLOSE)
    assert not df_merge(VECTORS, FISHER, [0.0] * 5).any()
    same = np.repeat(VECTORS[:1], 3, axis=0)
    np.testing.assert_allclose(df_merge(same, FISHER[:3], [1.0] * 3), VECTORS[0], **CLOSE)


@pytest.mark.parametrize("where", [0, slice(None)])
def test_weights_without_information_fall_back_to_the_sum(where: int | slice) -> None:
    values = FISHER.copy()
    values[:, where] = 0
    expected = sum(mu / 5 * tau.astype(float) for mu, tau in zip(MU, VECTORS, strict=True))
    merged = df_merge(VECTORS, values, MU)
    assert np.isfinite(merged).all()
    np.testing.assert_allclose(merged[where], expected[where], **CLOSE)
