"""What the weights of the Portland network are for: models, or what they make of an input, weighed and added."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.tuning.neulig.portland import Floats

Weights = Mapping[str, NDArray[Any]]


def merge(experts: Sequence[Weights], betas: Floats) -> dict[str, NDArray[Any]]:
    """Merging mode: sum_i beta_i theta_i, tensor by tensor and in its own dtype, for one input's (models,) betas.

    Of tensors that are no floats those of the first model are taken.
    """
    merged: dict[str, NDArray[Any]] = {}
    for name, first in experts[0].items():
        if np.issubdtype(first.dtype, np.floating):
            total = np.zeros(first.shape)
            for beta, own in zip(betas, experts, strict=True):
                total += beta * own[name]
            merged[name] = total.astype(first.dtype)
        else:
            merged[name] = first
    return merged


def ensemble(made: Floats, betas: Floats) -> Floats:
    """Ensembling mode: sum_i beta_i z_i(x), (n, ...), of what the models make of n inputs, (n, models, ...)."""
    return np.asarray(np.einsum("nm,nm...->n...", betas, made))


def alignment_scores(experts: Sequence[Weights]) -> Floats:
    """epsilon of the loss L_a, (models,): the sum of all coordinates of theta_i - mean theta, z-scored over the models.

    0 where all models have the same sum.
    """
    sums = np.array([sum(float(t.sum(dtype=np.float64)) for t in own.values()) for own in experts])
    centred = sums - sums.mean()
    spread = centred.std()
    noise = np.finfo(np.float64).eps * max(1.0, float(np.abs(sums).max()))
    return np.zeros_like(sums) if spread <= noise else np.asarray(centred / spread)
