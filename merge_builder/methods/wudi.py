"""WUDI: the matrix that disturbs every task's own subspace least, without data."""

from typing import Annotated

import numpy as np
from pydantic import Field

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.mean import mean
from merge_builder.methods.scale import Scale, scale_for


@merge_method(
    title="WUDI",
    paper="https://arxiv.org/abs/2503.08099",
    formula="per matrix: argmin Σ ||(τ - τ_i) τ_iᵀ||² / ||τ_i||², in closed form, times scale; other tensors: mean(τ)",
    unit="tensor",
)
def wudi(task_vectors: Array, *, ridge: Annotated[float, Field(gt=0, le=1)] = 1e-3, scale: Scale = 1.0) -> Array:
    """Solve the least-squares problem: `(Σ τ_i G_i + ρ·mean τ) (Σ G_i + ρ I)⁻¹` with G_i = τ_iᵀτ_i / ||τ_i||².

    The paper runs 300 steps of Adam, which stop short of the minimum; here `ridge` (a share of the mean
    eigenvalue of Σ G_i) pulls directions that no task uses towards the mean task vector instead.
    """
    if task_vectors.ndim != 3:
        return mean(task_vectors)
    inputs = task_vectors.shape[2]
    # One Gram matrix at a time: of a wide matrix it is larger than the matrix.
    total, right = np.zeros((inputs, inputs)), np.zeros(task_vectors.shape[1:])
    for task_vector in task_vectors:
        if task_vector.any():
            vector = task_vector.astype(np.float64)
            norm = np.linalg.norm(vector)
            vector /= norm
            total += vector.T @ vector
            right += norm * np.linalg.multi_dot([vector, vector.T, vector])
    if not total.any():
        return np.zeros(task_vectors.shape[1:], np.float32)
    rho = ridge * np.trace(total) / inputs
    right += rho * mean(task_vectors)
    total[np.diag_indices(inputs)] += rho
    solved = np.linalg.solve(total, right.T).T
    return solved.astype(np.float32) * scale_for(scale, len(task_vectors))
