"""PCB-Merging: parameters compete, within a task and between tasks."""

from collections.abc import Sequence

import numpy as np

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.ties import Density
from merge_builder.statistics import Magnitudes

_TAIL = 1e-4


@merge_method(
    title="PCB-Merging",
    paper="https://arxiv.org/abs/2410.02396",
    formula="θ = θ_base + scale · Σ βτ / Σ β, β = exp(n·norm(|τ|)²)·tanh(τ·Σ τ), its top share rescaled to [0, 1]",
    unit="tensor",
)
def pcb(task_vectors: Array, magnitudes: Sequence[Magnitudes], *, density: Density = 0.2, scale: Scale = 1.0) -> Array:
    """Weigh every parameter by how strong it is in its task and how far the tasks agree on it.

    `norm` maps |τ| to [0, 1] between the 0.01 % tails of the task's whole task vector (global, one pass). β depends
    on the group, so its top `density` share is taken within each tensor; the reference code takes it over the
    whole model, which exists only where all tasks are merged.
    """
    flat = task_vectors.reshape(len(task_vectors), -1).astype(np.float64)
    low = np.array([[m.quantile(_TAIL)] for m in magnitudes])
    high = np.array([[m.quantile(1 - _TAIL)] for m in magnitudes])
    strength = (np.clip(np.abs(flat), low, high) - low) / np.maximum(high - low, np.finfo(np.float64).tiny)
    beta = np.exp(len(flat) * strength**2) * np.tanh(flat * flat.sum(axis=0))
    keep = max(1, int(density * beta.shape[1]))
    floor = np.partition(beta, -keep, axis=1)[:, -keep, None]
    top = beta.max(axis=1, keepdims=True)
    weight = np.where(top > floor, (np.maximum(beta, floor) - floor) / np.maximum(top - floor, 1e-300), beta > 0)
    total = weight.sum(axis=0)
    merged = np.divide((weight * flat).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    result: Array = merged.reshape(task_vectors.shape[1:]).astype(np.float32)
    result *= scale_for(scale, len(flat))
    return result
