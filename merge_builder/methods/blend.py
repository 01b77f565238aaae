"""TSV-M and WUDI mixed: the product's default, as good as the better of the two or close to it (docs/results.md)."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.tsv import Svd, svd_of_matrix, tsv
from merge_builder.methods.wudi import wudi


@merge_method(
    title="TSV-M with WUDI",
    paper="https://arxiv.org/abs/2412.00081",
    formula="per matrix: ((1 - share) · TSV-M + share · WUDI) · scale; other tensors: mean(τ)",
    unit="tensor",
    prepare=svd_of_matrix,
)
def tsv_wudi(
    task_vectors: Array,
    prepared: Sequence[Svd | None],
    *,
    share: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ridge: Annotated[float, Field(gt=0, le=1)] = 0.1,
    scale: Scale = 1.0,
) -> Array:
    """Mix what `tsv` and `wudi` (arXiv 2503.08099, with this ridge) make of the members' matrices.

    Both look for a sum of the task vectors that keeps them from disturbing each other: TSV-M by the strongest
    directions of each, WUDI by the inputs that each reacts to. What the two get wrong differs, so their mean is better
    than both on some experts, and near the better one on others.
    """
    if task_vectors.ndim != 3:
        mean: Array = task_vectors.mean(axis=0)
        return mean
    calm = wudi(task_vectors, ridge=ridge)
    mixed: Array = tsv(task_vectors, prepared) * np.float32(1 - share) + calm * np.float32(share)
    mixed *= scale_for(scale, len(task_vectors))
    return mixed
