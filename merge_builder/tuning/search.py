"""Which search a tuner's name stands for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from merge_builder.ladder import RungSize
from merge_builder.tuning.bench import Bench
from merge_builder.tuning.candidate import UNTUNED, Candidate, Genes
from merge_builder.tuning.depth.search import stack_candidate
from merge_builder.tuning.depth.stack import stack_of
from merge_builder.tuning.df_merge import df_candidate, search_df_merge
from merge_builder.tuning.fisher import ROWS, FisherCache
from merge_builder.tuning.fusion import bucket, fusion_candidate
from merge_builder.tuning.fusion_search import SEEDS, search_fusion
from merge_builder.tuning.material import Material
from merge_builder.tuning.plain import PlainMethods
from merge_builder.tuning.rounds import Prepare, expected, one_by_one
from merge_builder.tuning.scorer import Outcome
from merge_builder.tuning.settings import Settings
from merge_builder.tuning.split import Split


@dataclass(frozen=True)
class Tools:
    """What searches make candidates of."""

    settings: Settings
    material: Material
    fisher: FisherCache
    plain: PlainMethods


def open_tools(settings: Settings, material: Material, bench: Bench, split: Split, folder: Path) -> Tools:
    """Tools that keep in `folder` what is used again."""
    unlabelled = {task: own.rows[:ROWS] for task, own in split.search.items()}
    fisher = FisherCache(folder / "fisher", material, bench.curvature, unlabelled)
    return Tools(settings, material, fisher, PlainMethods(folder / "merged", material))


def candidate_of(genes: Genes, tools: Tools, rung: RungSize) -> Candidate:
    """The candidate that these genes describe, whatever stands beside it."""
    tasks = tools.material.tasks
    if genes.get("untuned"):
        return UNTUNED
    match genes["method"]:
        case "df-merge":
            return df_candidate(tasks, genes["mu"], tools.fisher, genes["fisher"])
        case "lfs":
            buckets = bucket(tools.material, rung, tools.settings.groups)
            return fusion_candidate(genes, buckets, tasks, tools.plain)
        case "depth":
            return stack_candidate(stack_of(genes))
    raise ValueError(f"there is no method {genes['method']!r}")


def search(
    tools: Tools,
    rung: RungSize,
    score: Callable[[Candidate, int], Outcome],
    warm: Sequence[Genes],
    prepare: Prepare = one_by_one,
) -> None:
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
                at_once=settings.at_once,
                prepare=lambda candidates: prepare(candidates, settings.rows),
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
                prepare=prepare,
            )


def least_rows(settings: Settings) -> int:
    """The fewest rows that automerge scores a candidate on: a ninth of the most."""
    return max(1, settings.rows // 9)


def expected_scores(settings: Settings) -> int:
    """About how many scores a rung takes, for the time left."""
    if settings.tuner == "df-merge":
        return settings.trials + 1
    return expected((least_rows(settings), settings.rows), settings.trials, len(SEEDS))
