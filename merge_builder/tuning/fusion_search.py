"""The search of layer-wise fusion: rounds of Hyperband over TPE, for the mean or across the tasks (arXiv 2502.04030).

Rows are the fidelity. For one objective a point's worth is the mean over the tasks; for several every bracket draws
weights of the tasks anew and looks for what is best under them (ParEGO).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from merge_builder.tuning.candidate import Candidate, Genes
from merge_builder.tuning.fusion import SPACE, Buckets, flat, fusion_candidate, suggest
from merge_builder.tuning.hyperband import Stage, brackets, run_bracket
from merge_builder.tuning.pareto import Scores, draw_weights, scalarise
from merge_builder.tuning.plain import PlainMethods
from merge_builder.tuning.surrogate import Known, Tree

if TYPE_CHECKING:
    import optuna

# What a search begins with: one method everywhere.
SEEDS: Sequence[Mapping[str, Any]] = (
    {"name": "tsv", "scale": 1.0},
    {"name": "iso", "scale": 1.5},
    {"name": "task_arithmetic", "scale": 1.5},
    {"name": "task_arithmetic", "scale": 1.0},
    {"name": "ties", "density": 0.2, "scale": 1.5},
)


def search_fusion(
    buckets: Buckets,
    tasks: Sequence[str],
    pairs: bool,
    plain: PlainMethods,
    score: Callable[[Candidate, int], Scores],
    *,
    rows: tuple[int, int],
    trials: int,
    seed: int,
    several: bool = False,
    warm: Sequence[Genes] = (),
) -> None:
    """Score `trials` candidates or a few more, on `rows` rows at least and at most, in whole rounds of Hyperband.

    First `warm` and one method everywhere (`SEEDS`), on all rows; then what TPE asks for. `score` gives each task's
    accuracy relative to its expert's. `pairs` says that some group has two members: otherwise slerp would be `linear`
    again, and is left out. `several`: look for what is good for some tasks, not for the mean alone.
    """
    methods = [name for name in SPACE if pairs or name != "slerp"]
    same = [{"method": "lfs", "buckets": {name: dict(one) for name in buckets.used}} for one in SEEDS]
    found = [_without_slerp(genes) if "slerp" not in methods else genes for genes in warm]
    first = [genes for genes in (*found, *same) if set(genes["buckets"]) >= set(buckets.used)][:trials]
    history: list[tuple[optuna.Trial, Scores]] = []

    def rate(trial: "optuna.Trial", count: int) -> Scores:
        own = {name: suggest(trial, name, methods, tasks) for name in buckets.used}
        return score(fusion_candidate({"method": "lfs", "buckets": own}, buckets, tasks, plain), count)

    opening = Tree(seed, starts=0)
    for genes in first:
        trial = opening.ask(flat({name: genes["buckets"][name] for name in buckets.used}))
        history.append((trial, rate(trial, rows[1])))
    asked = len(first)
    for number, stages in enumerate(_rounds(rows)):
        if asked >= trials:
            return
        weights = draw_weights(tasks, (seed, number)) if several else None
        _bracket(stages, Tree(seed + number, len(first), _known(history, weights)), rate, history, weights)
        asked += stages[0].count


def _without_slerp(genes: Genes) -> Genes:
    """The same where no group has two members: there slerp is `linear`."""
    own = {name: one | {"name": "linear"} if one["name"] == "slerp" else one for name, one in genes["buckets"].items()}
    return {**genes, "buckets": own}


def expected(rows: tuple[int, int], trials: int) -> int:
    """About how many scores a search of `trials` candidates takes, that of the untuned ladder included."""
    asked = min(len(SEEDS), trials)
    scored = 1 + asked
    for stages in _rounds(rows):
        if asked >= trials:
            break
        asked += stages[0].count
        scored += sum(stage.count for stage in stages)
    return scored


def _rounds(rows: tuple[int, int]) -> Iterator[Sequence[Stage]]:
    while True:
        yield from brackets(*rows)


def _bracket(
    stages: Sequence[Stage],
    tree: Tree,
    rate: Callable[["optuna.Trial", int], Scores],
    history: list[tuple["optuna.Trial", Scores]],
    weights: Scores | None,
) -> None:
    before = [scores for _, scores in history]
    last: dict[int, Scores] = {}

    def score(trial: "optuna.Trial", count: int) -> float:
        last[trial.number] = rate(trial, count)
        return _worth(last[trial.number], weights, before)

    run_bracket(stages, tree.ask, score, lambda trial, _: history.append((trial, last[trial.number])))


def _known(history: Sequence[tuple["optuna.Trial", Scores]], weights: Scores | None) -> list[Known]:
    before = [scores for _, scores in history]
    return [Known(trial.params, trial.distributions, _worth(scores, weights, before)) for trial, scores in history]


def _worth(scores: Scores, weights: Scores | None, known: Sequence[Scores]) -> float:
    return float(np.mean(list(scores.values()))) if weights is None else scalarise(scores, weights, known)
