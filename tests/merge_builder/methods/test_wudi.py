import numpy as np
import torch

from merge_builder.methods.contract import REGISTRY

WUDI = REGISTRY["wudi"]


def merge(vectors: np.ndarray, **parameters: object) -> np.ndarray:
    return WUDI.function(vectors, **parameters)


def loss(merged: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    return sum(((merged - v) @ v.T).square().sum() / v.square().sum() for v in vectors)  # type: ignore[return-value]


def test_the_closed_form_is_where_gradient_descent_ends() -> None:
    rng = np.random.default_rng(0)
    # Low-rank task vectors leave directions free; together they span everything here, so the minimum is unique.
    vectors = np.stack([rng.normal(size=(6, 4)) @ rng.normal(size=(4, 8)) for _ in range(3)]).astype(np.float32)
    target = torch.tensor(vectors, dtype=torch.float64)
    merged = target.mean(dim=0).clone().requires_grad_()
    optimizer = torch.optim.LBFGS([merged], lr=1, max_iter=2000, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(merged, target)
        value.backward()
        return value

    optimizer.step(closure)
    found = merge(vectors, ridge=1e-9)
    np.testing.assert_allclose(found, merged.detach().numpy(), atol=2e-3)
    assert loss(torch.tensor(found, dtype=torch.float64), target) <= loss(target.mean(dim=0), target)


def test_tasks_that_do_not_meet_keep_their_own_changes() -> None:
    a, b = np.zeros((4, 6), np.float32), np.zeros((4, 6), np.float32)
    a[:, :3], b[:, 3:] = 1.0, 2.0
    np.testing.assert_allclose(merge(np.stack([a, b]), ridge=1e-9), a + b, atol=1e-4)


def test_vectors_are_averaged_and_nothing_changed_stays_nothing() -> None:
    vectors = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(merge(vectors), vectors.mean(axis=0), atol=1e-7)
    assert not merge(np.zeros((2, 4, 6), np.float32)).any()


def test_equal_members_and_one_that_did_not_move() -> None:
    a = np.random.default_rng(1).integers(-3, 4, size=(4, 9)).astype(np.float32)
    np.testing.assert_allclose(merge(np.stack([a, np.zeros_like(a), a]), ridge=1e-9), a, atol=1e-4)
