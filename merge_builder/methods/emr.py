"""EMR: elect one vector for the group, mask and rescale it for each task."""

import numpy as np
from numpy.typing import NDArray

from merge_builder.methods.contract import Array, masked_method


@masked_method(
    title="EMR",
    paper="https://arxiv.org/abs/2405.17461",
    formula="θ_k = θ_base + γ_k · m_k ∘ τ_uni; τ_uni = elected sign · the largest agreeing |τ|; "
    "γ_k = Σ|τ_k| / Σ|m_k ∘ τ_uni|",
    rescaled=True,
)
def emr(task_vectors: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Elect the sign of the sum and the largest magnitude of that sign; a task's mask is where its sign agrees.

    The paper and the builder sum γ over what is merged as one unit: here a block, weight by weight. FlexMerge's code
    sums the means of the block's tensors, so that small tensors weigh more.
    """
    sign = np.sign(task_vectors.sum(axis=0))
    agreeing = task_vectors * sign
    unified: Array = agreeing.max(axis=0) * sign
    return unified, agreeing > 0
