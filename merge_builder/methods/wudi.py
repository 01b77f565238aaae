"""WUDI: the matrix that disturbs every task's own subspace least, without data."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.spectral import Matrix


def _gram(task_vector: Array) -> Matrix | None:
    """`τᵀτ / ||τ||²`: the input directions that the task changed, as shares."""
    if task_vector.ndim != 2:
        return None
    own = task_vector.astype(np.float64)
    gram = own.T @ own
    return gram / max(float(np.trace(gram)), np.finfo(np.float64).tiny)


@merge_method(
    title="WUDI",
    paper="https://arxiv.org/abs/2503.08099",
    formula="per matrix: argmin Σ ||(τ - τ_i) τ_iᵀ||² / ||τ_i||², in closed form, times scale; other tensors: mean(τ)",
    unit="tensor",
    prepare=_gram,
)
def wudi(
    task_vectors: Array,
    prepared: Sequence[Matrix | None],
    *,
    ridge: Annotated[float, Field(gt=0, le=1)] = 1e-3,
    scale: Scale = 1.0,
) -> Array:
    """Solve the least-squares problem: `(Σ τ_i G_i + ρ·mean τ) (Σ G_i + ρ I)⁻¹` with G_i = τ_iᵀτ_i / ||τ_i||².

    The paper runs 300 steps of Adam, which stop short of the minimum; here `ridge` (a share of the mean
    eigenvalue of Σ G_i) pulls directions that no task uses towards the mean task vector instead.
    """
    if task_vectors.ndim != 3:
        mean: Array = task_vectors.mean(axis=0)
        return mean
    grams = [gram for gram in prepared if gram is not None]
    vectors = task_vectors.astype(np.float64)
    total = np.sum(grams, axis=0)
    if not total.any():
        return np.zeros(task_vectors.shape[1:], np.float32)
    rho = ridge * np.trace(total) / len(total)
    right = sum(vector @ gram for vector, gram in zip(vectors, grams, strict=True)) + rho * vectors.mean(axis=0)
    solved = np.linalg.solve(total + rho * np.eye(len(total)), np.asarray(right).T).T
    return solved.astype(np.float32) * scale_for(scale, len(task_vectors))
