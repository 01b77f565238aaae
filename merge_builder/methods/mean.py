"""The mean of a group's task vectors."""

import numpy as np

from merge_builder.methods.contract import Array


def mean(task_vectors: Array) -> Array:
    """Over the members, fp32 [n, ...] to [...]; bit for bit numpy's own, which divides by way of fp64."""
    total: Array = np.add.reduce(task_vectors, axis=0)
    total /= np.float32(len(task_vectors))
    return total
