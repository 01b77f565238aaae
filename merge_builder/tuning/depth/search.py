"""The search of depth-wise integration (arXiv 2502.04030): the space of stacks, and what it begins with.

The published space has a flag for each expert at each layer and an order of those that are set. Of many experts most
such points are far too deep, so here a point says how many sources a layer is taken from (none: the base's own; one;
two, in their order; the same one twice repeats it) and which.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

from merge_builder.tuning.candidate import Candidate
from merge_builder.tuning.depth.families import LARGEST
from merge_builder.tuning.depth.sources import Sources
from merge_builder.tuning.depth.stack import Stack, integrate, whole
from merge_builder.tuning.pareto import Scores
from merge_builder.tuning.rounds import Prepare, one_by_one, search_rounds

if TYPE_CHECKING:
    import optuna

_GROWTH = 1.25  # 50 layers made of 40, as published
_ROUND = 4  # decimals of a scale


def stack_candidate(stack: Stack) -> Candidate:
    """The candidate that runs `stack`."""
    return Candidate(stack.genes, None, stack=stack)


def deepest(layers: int) -> int:
    """The most layers that are tried, of a base with so many."""
    return ceil(_GROWTH * layers)


def first_stacks(sources: Sources) -> list[Stack]:
    """The untuned 1x model and every expert, as they are."""
    return [whole(name, sources.depth) for name in sources.names]


def search_depth(
    sources: Sources,
    score: Callable[[Candidate, int], Scores],
    *,
    rows: tuple[int, int],
    trials: int,
    seed: int,
    several: bool = False,
    prepare: Prepare = one_by_one,
) -> None:
    """Score `trials` stacks or a few more, on `rows` rows at least and at most.

    A stack deeper than `deepest` is not scored: it counts as one that gets nothing right.
    """
    tasks = sources.material.tasks

    def make(trial: "optuna.Trial") -> Candidate | None:
        stack = suggest(trial, sources)
        return None if len(stack.layers) > deepest(sources.depth) else stack_candidate(stack)

    first = [flat(stack) for stack in first_stacks(sources)]
    search_rounds(make, score, first, tasks, prepare=prepare, rows=rows, trials=trials, seed=seed, several=several)


def suggest(trial: "optuna.Trial", sources: Sources) -> Stack:
    """The stack at a point of the space."""
    rest = str(trial.suggest_categorical("rest", sources.names))
    chosen: list[list[str]] = []
    scales = []
    for layer in range(sources.depth):
        number = int(trial.suggest_categorical(f"{layer}.number", (1, 2, 0)))
        chosen.append([str(trial.suggest_categorical(f"{layer}.{place}", sources.names)) for place in range(number)])
        scales.append(round(trial.suggest_float(f"{layer}.scale", sources.family.least, LARGEST), _ROUND))
    return integrate(rest, chosen, scales)


def flat(stack: Stack) -> Mapping[str, Any]:
    """What `suggest` would have been given to make a stack that takes each layer from one source."""
    point: dict[str, Any] = {"rest": stack.rest}
    for layer, own in enumerate(stack.layers):
        point |= {f"{layer}.number": 1, f"{layer}.0": own.source, f"{layer}.scale": own.scale}
    return point
