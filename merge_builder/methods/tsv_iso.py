"""TSV-M and Iso-C mixed: with some experts better than either (docs/results.md)."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.iso import iso
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.tsv import Svd, svd_of_matrix, tsv

ISO_SCALE = 1.5  # at which Iso-C is best by itself


@merge_method(
    title="TSV-M with Iso-C",
    paper="https://arxiv.org/abs/2412.00081",
    formula="per matrix: ((1 - share) · TSV-M + share · 1.5 · Iso-C) · scale; other tensors: mean(τ)",
    unit="tensor",
    prepare=svd_of_matrix,
)
def tsv_iso(
    task_vectors: Array,
    prepared: Sequence[Svd | None],
    *,
    share: Annotated[float, Field(ge=0, le=1)] = 0.5,
    scale: Scale = 1.0,
) -> Array:
    """Mix what `tsv` and `iso` (arXiv 2502.04959, at 1.5) make of the members' matrices; vectors are averaged."""
    if task_vectors.ndim != 3:
        mean: Array = task_vectors.mean(axis=0)
        return mean
    even = iso(task_vectors, scale=ISO_SCALE)
    mixed: Array = tsv(task_vectors, prepared) * np.float32(1 - share) + even * np.float32(share)
    mixed *= scale_for(scale, len(task_vectors))
    return mixed
