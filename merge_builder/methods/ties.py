"""TIES: trim, elect signs, disjoint mean."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.statistics import Magnitudes

Density = Annotated[float, Field(gt=0, le=1)]


@merge_method(
    title="TIES",
    paper="https://arxiv.org/abs/2306.01708",
    formula="θ = θ_base + scale · mean of the trimmed τ that agree with the elected sign",
)
def ties(task_vectors: Array, magnitudes: Sequence[Magnitudes], *, density: Density = 0.2, scale: Scale = 1.0) -> Array:
    """Keep each task's largest `density` share, elect a sign per weight, average what agrees with it.

    Trimming is global over a task's whole task vector, as in the paper, FlexMerge and FusionBench (mergekit trims
    each tensor); what agrees is averaged, as in the paper and mergekit (FusionBench sums it). Where the kept
    values cancel exactly there is no sign to elect and the weight stays the base's (FlexMerge's code takes the
    whole vector's majority sign there).
    """
    limits = [np.float32(m.threshold(density)) for m in magnitudes]
    return disjoint_mean(task_vectors, limits) * scale_for(scale, len(task_vectors))


def disjoint_mean(task_vectors: Array, limits: Sequence[np.float32]) -> Array:
    """Of the members' values with |τ| >= limit, the mean of those that have the sign of their sum; else 0.

    Member by member in place: the whole stays in the cache, several times faster than stacked masks.
    """
    shape = task_vectors.shape[1:]
    kept, total = np.abs(task_vectors), np.zeros(shape, np.float32)
    keep = np.empty(task_vectors.shape, np.bool_)
    for k, limit in enumerate(limits):
        np.greater_equal(kept[k], limit, out=keep[k])
        np.multiply(task_vectors[k], keep[k], out=kept[k])
        total += kept[k]
    positive, merged, count = total > 0, np.zeros(shape, np.float32), np.zeros(shape, np.uint16)
    for k in range(len(limits)):
        agrees = (kept[k] > 0) == positive
        agrees &= keep[k]
        merged += kept[k] * agrees
        count += agrees
    merged /= np.maximum(count, 1).astype(np.float32)
    merged *= total != 0
    return merged
