"""The search of layer-wise fusion (arXiv 2502.04030): what it begins with, and the points of its space."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from merge_builder.tuning.candidate import Candidate, Genes
from merge_builder.tuning.fusion import SPACE, Buckets, flat, fusion_candidate, suggest
from merge_builder.tuning.pareto import Scores
from merge_builder.tuning.plain import PlainMethods
from merge_builder.tuning.rounds import Prepare, one_by_one, search_rounds

if TYPE_CHECKING:
    import optuna

# What a search begins with: one method everywhere, first the product's own.
SEEDS: Sequence[Mapping[str, Any]] = (
    {"name": "blend", "scale": 1.0},
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
    prepare: Prepare = one_by_one,
) -> None:
    """Score `trials` candidates or a few more, on `rows` rows at least and at most, in whole rounds of Hyperband.

    First `warm` and one method everywhere (`SEEDS`), on all rows; then what TPE asks for. `score` gives each task's
    accuracy relative to its expert's. `pairs` says that some group has two members: otherwise slerp would be `linear`
    again, and is left out. `several`: look for what is good for some tasks, not for the mean alone.
    """
    methods = [name for name in SPACE if pairs or name != "slerp"]
    same = [{"method": "lfs", "buckets": {name: dict(one) for name in buckets.used}} for one in SEEDS]
    found = [_without_slerp(genes) if "slerp" not in methods else genes for genes in warm]
    first = [genes for genes in (*found, *same) if set(genes["buckets"]) >= set(buckets.used)]

    def make(trial: "optuna.Trial") -> Candidate:
        own = {name: suggest(trial, name, methods, tasks) for name in buckets.used}
        return fusion_candidate({"method": "lfs", "buckets": own}, buckets, tasks, plain)

    points = [flat({name: genes["buckets"][name] for name in buckets.used}) for genes in first]
    search_rounds(make, score, points, tasks, prepare=prepare, rows=rows, trials=trials, seed=seed, several=several)


def _without_slerp(genes: Genes) -> Genes:
    """The same where no group has two members: there slerp is `linear`."""
    own = {name: one | {"name": "linear"} if one["name"] == "slerp" else one for name, one in genes["buckets"].items()}
    return {**genes, "buckets": own}
