"""The product's default: TSV-M, Iso-C and WUDI in one (docs/results.md tells how it was chosen)."""

from collections.abc import Sequence

import numpy as np

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.iso import iso
from merge_builder.methods.mean import mean
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.tsv import Svd, svd_of_matrix, tsv
from merge_builder.methods.wudi import wudi

# At which each is best by itself.
ISO_SCALE, WUDI_RIDGE = 1.5, 0.1
# The task length at which TSV-M and WUDI are worth the same, and how fast that changes around it.
MIDWAY, STEEPNESS = 0.028, 8


@merge_method(
    title="TSV-M, Iso-C and WUDI",
    paper="https://arxiv.org/abs/2412.00081",
    formula="per matrix: (1 - s)·((1 - w) · TSV-M + w · WUDI (ridge 0.1)) + s · 1.5 · Iso-C with s = (1 - 2/n)/3, "
    "w = h + (1 - h)/n, h = 1/(1 + (ρ/0.028)^8), ρ the members' mean of the median of ||τ||/||θ_base|| over a task's "
    "matrices, times scale; other tensors: mean(τ)",
    unit="tensor",
    prepare=svd_of_matrix,
)
def blend(
    task_vectors: Array, lengths: Sequence[float], prepared: Sequence[Svd | None], *, scale: Scale = 1.0
) -> Array:
    """Average what `tsv`, `iso` (arXiv 2502.04959) and `wudi` (arXiv 2503.08099) make of the members' matrices.

    All three look for a sum of the task vectors in which these disturb each other little: TSV-M by the strongest
    directions of each, Iso-C by an even spectrum, WUDI by the inputs that each task reacts to. Each is best with some
    experts and points behind with others; what they get wrong differs, so that their mean is near the best with all.

    An even spectrum suits many tasks and harms two, so Iso-C's share grows with the group, from nothing to a third.
    WUDI takes the rows of a task vector for the inputs it was trained on, which holds for small steps: short task
    vectors are left to it; of long ones it gets 1/n, as fewer tasks are easier to tell apart.
    """
    if task_vectors.ndim != 3:
        return mean(task_vectors)
    members = len(task_vectors)
    share = (1 - 2 / members) / 3
    part = wudi_part(lengths)
    blended: Array = np.float32((1 - share) * (1 - part)) * tsv(task_vectors, prepared)
    blended += np.float32((1 - share) * part) * wudi(task_vectors, ridge=WUDI_RIDGE)
    if members > 2:
        blended += iso(task_vectors, scale=share * ISO_SCALE)
    blended *= scale_for(scale, members)
    return blended


def wudi_part(lengths: Sequence[float]) -> float:
    """WUDI's part of what is not Iso-C's, from all (tasks that hardly moved) to 1/n (tasks that moved far)."""
    short = 1 / (1 + (float(np.mean(lengths)) / MIDWAY) ** STEEPNESS)
    return short + (1 - short) / len(lengths)
