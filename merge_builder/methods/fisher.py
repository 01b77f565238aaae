"""Fisher merging with static, diagonal Fisher values from files."""

import numpy as np

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.mean import mean


@merge_method(
    title="Fisher merging",
    paper="https://arxiv.org/abs/2111.09832",
    formula="θ = θ_base + Σ Fτ / Σ F",
)
def fisher(task_vectors: Array, fisher: Array) -> Array:
    """Average weighted by each expert's Fisher values (`tasks: {t: {fisher: FILE.safetensors}}`).

    Where no member has any Fisher information on a weight, its plain average.
    """
    total = fisher.sum(axis=0)
    weighted: Array = (fisher * task_vectors).sum(axis=0)
    merged: Array = np.divide(weighted, total, out=mean(task_vectors), where=total > 0)
    return merged
