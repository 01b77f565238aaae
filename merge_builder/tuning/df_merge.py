"""DF-Merge: a Fisher-weighted sum of scaled task vectors, the scales found by Bayesian optimisation (arXiv 2504.18992).

In the paper's terms lambda_i = mu_i / n for a group of n members:

    theta = theta0 + n sum_i F_i lambda_i tau_i / sum_i F_i = theta0 + sum_i F_i mu_i tau_i / sum_i F_i

with F_i at theta0 + lambda_i tau_i. In mu, a mean's convention, the group's size cancels: one mu a task serves
groups of any size, and mu = 1 in a group of one is the expert itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from merge_builder.methods.contract import Array
from merge_builder.tuning.candidate import Candidate, Formula, Site
from merge_builder.tuning.fisher import FisherCache
from merge_builder.tuning.surrogate import Box, gaussian_process

# dynamic: at theta0 + lambda tau, the paper's; static: at the expert, as Fisher merging; uniform: all weights alike.
FisherKind = Literal["dynamic", "static", "uniform"]
_STARTS = 10  # random points before the first model, as published
_MOST = 3.0  # of mu where groups are smaller than all tasks


def df_merge(task_vectors: Array, fisher: Array, mu: Sequence[float]) -> Array:
    """sum F mu tau / sum F, elementwise over the members (axis 0), fp32.

    Where no member has any Fisher information the mean of mu tau, never NaN.
    """
    scaled = task_vectors * np.array(mu, np.float32).reshape(-1, *[1] * (task_vectors.ndim - 1))
    total = fisher.sum(axis=0)
    merged: Array = np.divide((fisher * scaled).sum(axis=0), total, out=scaled.mean(axis=0), where=total > 0)
    return merged


def df_candidate(
    tasks: Sequence[str], mu: Mapping[str, float], cache: FisherCache, kind: FisherKind = "dynamic"
) -> Candidate:
    """The candidate of these scales; `mu` may leave out tasks that share no version."""
    own = {task: round(float(value), 4) for task, value in mu.items()}
    genes = {"method": "df-merge", "fisher": kind, "mu": own}
    return Candidate(genes, _formula([own.get(task, 1.0) for task in tasks], cache, kind))


def _formula(mu: Sequence[float], cache: FisherCache, kind: FisherKind) -> Formula:
    def vector(site: Site) -> Array:
        vectors, own = site.vectors(), [mu[task] for task in site.group]
        points = [1.0] * len(own) if kind == "static" else [value / len(own) for value in own]
        if kind == "uniform":
            return df_merge(vectors, np.ones_like(vectors), own)
        fisher = [cache.at(site, task, point) for task, point in zip(site.group, points, strict=True)]
        return df_merge(vectors, np.stack(fisher), own)

    return vector


def search_df_merge(
    tasks: Sequence[str],
    active: Sequence[str],
    cache: FisherCache,
    score: Callable[[Candidate], float],
    *,
    trials: int,
    seed: int,
    everyone: bool,
    warm: Sequence[Mapping[str, float]] = (),
    at_once: int = 1,
    prepare: Callable[[Sequence[Candidate]], None] = lambda _: None,
) -> None:
    """Score up to `trials` candidates, the surrogate's choice but for the first ones.

    `active` are the tasks that share some version: the others' scales would change nothing. `everyone` says that every
    group holds all tasks; then the box is the paper's, lambda in [0, 1]. `warm` are scales found at other rungs, scored
    first, beside the mean, the mean with the experts' own Fisher values, and half as much again.
    """
    box: Box = dict.fromkeys(active, (0.0, float(len(tasks)) if everyone else _MOST))
    first = [*warm, *(dict.fromkeys(active, value) for value in (1.0, 1.5))]
    score(df_candidate(tasks, dict.fromkeys(active, 1.0), cache, "static"))
    points = [{task: min(point.get(task, 1.0), box[task][1]) for task in active} for point in first]
    gaussian_process(
        box,
        lambda mu: score(df_candidate(tasks, mu, cache)),
        points,
        trials=trials - 1,
        starts=_STARTS,
        seed=seed,
        at_once=at_once,
        prepare=lambda asked: prepare([df_candidate(tasks, mu, cache) for mu in asked]),
    )
