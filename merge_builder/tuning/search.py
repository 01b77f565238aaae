"""Which search a tuner's name stands for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from merge_builder.ladder import RungSize
from merge_builder.tuning.candidate import Candidate, Genes
from merge_builder.tuning.df_merge import search_df_merge
from merge_builder.tuning.fisher import FisherCache
from merge_builder.tuning.fusion import bucket
from merge_builder.tuning.fusion_search import SEEDS, search_fusion
from merge_builder.tuning.material import Material
from merge_builder.tuning.plain import PlainMethods
from merge_builder.tuning.rounds import expected
from merge_builder.tuning.scorer import Outcome
from merge_builder.tuning.settings import Settings


@dataclass(frozen=True)
class Tools:
    """What searches make candidates of."""

    settings: Settings
    material: Material
    fisher: FisherCache
    plain: PlainMethods


def search(tools: Tools, rung: RungSize, score: Callable[[Candidate, int], Outcome], warm: Sequence[Genes]) -> None:
    """Run the settings' tuner at `rung`; `warm` are the genes found at larger rungs.

    Raises:
        OutOfTime: `score` does.
    """
    settings, tasks = tools.settings, tools.material.tasks
    groups = [place.group for place in tools.material.places(rung)]
    match settings.tuner:
        case "df-merge":
            search_df_merge(
                tasks,
                [task for number, task in enumerate(tasks) if any(number in group for group in groups)],
                tools.fisher,
                lambda candidate: score(candidate, settings.rows).mean,
                trials=settings.trials,
                seed=settings.seed,
                everyone=all(len(group) == len(tasks) for group in groups),
                warm=[genes["mu"] for genes in warm if "mu" in genes],
            )
        case "automerge":
            search_fusion(
                bucket(tools.material, rung, settings.groups),
                tasks,
                any(len(group) == 2 for group in groups),
                tools.plain,
                lambda candidate, rows: score(candidate, rows).tasks,
                rows=(least_rows(settings), settings.rows),
                trials=settings.trials,
                seed=settings.seed,
                several=settings.objective == "pareto",
                warm=[genes for genes in warm if "buckets" in genes],
            )


def least_rows(settings: Settings) -> int:
    """The fewest rows that automerge scores a candidate on: a ninth of the most."""
    return max(1, settings.rows // 9)


def expected_scores(settings: Settings) -> int:
    """About how many scores a rung takes, for the time left."""
    if settings.tuner == "df-merge":
        return settings.trials + 1
    return expected((least_rows(settings), settings.rows), settings.trials, len(SEEDS))
