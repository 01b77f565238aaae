"""Merges of the experts' weights by a number for each: a normalised sum, and the arc between two of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from merge_builder.methods.contract import Array
from merge_builder.tuning.candidate import Formula, Site

Exact = NDArray[np.float64]
_PARALLEL = 0.9995  # cosine above which an arc is a line


def linear(weights: Sequence[float]) -> Formula:
    """sum w tau / sum w over the members, `weights` by task index; the mean where all weights are 0."""

    def vector(site: Site) -> Array:
        own = np.array([weights[task] for task in site.group], np.float32)
        if own.sum() == 0:
            own = np.ones(len(own), np.float32)
        vectors = site.vectors()
        merged: Array = np.tensordot(own / own.sum(), vectors, axes=1)
        return merged.astype(np.float32, copy=False)

    return vector


def slerp(scores: Sequence[float]) -> Formula:
    """Spherical interpolation of two experts' tensors, at the softmax of their scores; of more members, `linear`.

    Source: arXiv 2502.04030. Of weights that lie within `_PARALLEL` of one direction, or are 0, the line.
    """

    def vector(site: Site) -> Array:
        if len(site.group) != 2:
            return linear(scores)(site)
        base = site.block.base[site.index].read().astype(np.float64).reshape(site.shape)
        one, other = (base + tau for tau in site.vectors())
        first, second = (scores[task] for task in site.group)
        return (arc(one, other, 1 / (1 + np.exp(first - second))) - base).astype(np.float32)

    return vector


def arc(one: Exact, other: Exact, t: float) -> Exact:
    """The point at `t` of the arc from `one` (0) to `other` (1), fp64 in the shape of both."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    cosine = float((one * other).sum()) / lengths if lengths else 1.0
    if abs(cosine) > _PARALLEL:
        return (1 - t) * one + t * other
    angle = np.arccos(cosine)
    point: Exact = (np.sin((1 - t) * angle) * one + np.sin(t * angle) * other) / np.sin(angle)
    return point
