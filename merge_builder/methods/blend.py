"""The product's default: the mean of TSV-M, Iso-C and WUDI (docs/results.md tells how it was chosen)."""

from collections.abc import Sequence

import numpy as np

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.iso import iso
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.tsv import Svd, svd_of_matrix, tsv
from merge_builder.methods.wudi import wudi

# At which each is best by itself.
ISO_SCALE, WUDI_RIDGE = 1.5, 0.1


@merge_method(
    title="TSV-M, Iso-C and WUDI",
    paper="https://arxiv.org/abs/2412.00081",
    formula="per matrix: the mean of TSV-M, 1.5 · Iso-C and WUDI (ridge 0.1), times scale; other tensors: mean(τ)",
    unit="tensor",
    prepare=svd_of_matrix,
)
def blend(task_vectors: Array, prepared: Sequence[Svd | None], *, scale: Scale = 1.0) -> Array:
    """Average what `tsv`, `iso` (arXiv 2502.04959) and `wudi` (arXiv 2503.08099) make of the members' matrices.

    All three look for a sum of the task vectors in which these disturb each other little: TSV-M by the strongest
    directions of each, Iso-C by an even spectrum, WUDI by the inputs that each task reacts to. Each is best with some
    experts and points behind with others; what they get wrong differs, so that their mean is near the best with all.
    """
    if task_vectors.ndim != 3:
        mean: Array = task_vectors.mean(axis=0)
        return mean
    blended: Array = tsv(task_vectors, prepared)
    blended += iso(task_vectors, scale=ISO_SCALE)
    blended += wudi(task_vectors, ridge=WUDI_RIDGE)
    blended *= np.float32(scale_for(scale, len(task_vectors)) / 3)
    return blended
