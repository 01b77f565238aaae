"""Consensus: one merged vector, masked for each task to where the task itself contributes to it."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from merge_builder.methods.contract import Array, masked_method
from merge_builder.methods.scale import Scale
from merge_builder.methods.task_arithmetic import task_arithmetic
from merge_builder.methods.ties import Density, ties
from merge_builder.statistics import Magnitudes

Cut = Annotated[float, Field(ge=0)]
_PAPER = "https://arxiv.org/abs/2405.07813"
_FORMULA = "θ_k = θ_base + m_k ∘ τ_uni; m_k = |τ_k| > cut · |τ_uni - τ_k|; τ_uni as by "


@masked_method(title="Consensus (task arithmetic)", paper=_PAPER, formula=_FORMULA + "task_arithmetic", rescaled=False)
def consensus(task_vectors: Array, *, cut: Cut = 0.3, scale: Scale = 1.0) -> tuple[Array, NDArray[np.bool_]]:
    """Task arithmetic with a mask for each task.

    As in FlexMerge: the masks of the paper's compression (TALL masks). Its merging method of this name goes on from
    there: it keeps the weights that at least two tasks' masks select, one model for all tasks without masks.
    """
    unified = task_arithmetic(task_vectors, scale=scale)
    return unified, _masks(task_vectors, unified, cut)


@masked_method(title="Consensus (TIES)", paper=_PAPER, formula=_FORMULA + "ties", rescaled=False)
def consensus_ties(
    task_vectors: Array,
    magnitudes: Sequence[Magnitudes],
    *,
    cut: Cut = 0.3,
    density: Density = 0.2,
    scale: Scale = 1.0,
) -> tuple[Array, NDArray[np.bool_]]:
    """TIES with a mask for each task; the masks compare with the task vectors as they were before trimming."""
    unified = ties(task_vectors, magnitudes, density=density, scale=scale)
    return unified, _masks(task_vectors, unified, cut)


def _masks(task_vectors: Array, unified: Array, cut: float) -> NDArray[np.bool_]:
    masks = np.empty(task_vectors.shape, np.bool_)
    for mask, vector in zip(masks, task_vectors, strict=True):
        np.greater(np.abs(vector), np.float32(cut) * np.abs(unified - vector), out=mask)
    return masks
