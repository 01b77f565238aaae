"""Iso-C: the summed task matrix with all its singular values made equal."""

import numpy as np

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.mean import mean
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.spectral import thin_svd


@merge_method(
    title="Iso-C",
    paper="https://arxiv.org/abs/2502.04959",
    formula="per matrix: U · mean(σ) · Vᵀ · scale of the SVD of Σ τ; other tensors: mean(τ)",
    unit="tensor",
)
def iso(task_vectors: Array, *, scale: Scale = 1.0) -> Array:
    """Replace the spectrum of the SUM of the members' matrices by its mean; vectors are averaged."""
    if task_vectors.ndim != 3:
        return mean(task_vectors)
    u, s, vt = thin_svd(task_vectors.sum(axis=0, dtype=np.float64))
    merged: Array = (u @ vt * s.mean()).astype(np.float32)
    merged *= scale_for(scale, len(task_vectors))
    return merged
