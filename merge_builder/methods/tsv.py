"""TSV-M: task singular vectors, kept in equal shares and made orthogonal to each other."""

from collections.abc import Sequence

import numpy as np

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.mean import mean
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.spectral import polar, thin_svd

Svd = tuple[Array, Array, Array]


def svd_of_matrix(task_vector: Array) -> Svd | None:
    """The stronger half of a matrix's singular triplets, in fp32; None of any other tensor.

    No group takes more than half of them, and every task's are held at once.
    """
    if task_vector.ndim != 2:
        return None
    u, s, vt = thin_svd(task_vector)
    half = max(1, len(s) // 2)
    return u[:, :half].astype(np.float32), s[:half].astype(np.float32), vt[:half].astype(np.float32)


@merge_method(
    title="TSV-M",
    paper="https://arxiv.org/abs/2412.00081",
    formula="per matrix: the top r/n singular triplets of each τ, U and V orthogonalised together, times scale; "
    "other tensors: mean(τ)",
    unit="tensor",
    prepare=svd_of_matrix,
)
def tsv(task_vectors: Array, prepared: Sequence[Svd | None], *, scale: Scale = 1.0) -> Array:
    """Keep the `r // n` strongest triplets of each member, decorrelate them by polar factors, recompose."""
    members = len(task_vectors)
    if task_vectors.ndim != 3:
        return mean(task_vectors)
    triplets = [svd for svd in prepared if svd is not None]
    rank = max(1, min(task_vectors.shape[1:]) // members)
    u = np.concatenate([svd[0][:, :rank] for svd in triplets], axis=1)
    s = np.concatenate([svd[1][:rank] for svd in triplets])
    vt = np.concatenate([svd[2][:rank] for svd in triplets], axis=0)
    merged: Array = ((polar(u) * s) @ polar(vt)).astype(np.float32)
    merged *= scale_for(scale, members)
    return merged
