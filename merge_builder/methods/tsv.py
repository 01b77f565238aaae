"""TSV-M: task singular vectors, kept in equal shares and made orthogonal to each other."""

from collections.abc import Sequence

import numpy as np

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.scale import Scale, scale_for
from merge_builder.methods.spectral import Matrix, polar, thin_svd

Svd = tuple[Matrix, Matrix, Matrix]


def svd_of_matrix(task_vector: Array) -> Svd | None:
    """The thin SVD of a matrix; None of any other tensor."""
    return thin_svd(task_vector) if task_vector.ndim == 2 else None


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
        mean: Array = task_vectors.mean(axis=0)
        return mean
    triplets = [svd for svd in prepared if svd is not None]
    rank = max(1, len(triplets[0][1]) // members)
    u = np.concatenate([svd[0][:, :rank] for svd in triplets], axis=1)
    s = np.concatenate([svd[1][:rank] for svd in triplets])
    vt = np.concatenate([svd[2][:rank] for svd in triplets], axis=0)
    merged: Array = ((polar(u) * s) @ polar(vt)).astype(np.float32)
    merged *= scale_for(scale, members)
    return merged
