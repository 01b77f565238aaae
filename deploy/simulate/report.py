"""What a simulation says: one plain document, and two tables for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from deploy.simulate.simulation import Outcome, Simulation
from merge_builder.ladder import format_bytes


def simulation_document(simulation: Simulation) -> dict[str, Any]:
    """The contract of `mergeladder simulate --json`: rates are a second, shares and accuracies in 0 to 1.

    `right`, `accuracy` and `of_experts` are of the tasks whose answers are right or wrong, None where none is;
    `rank_correlation` and its share of the experts' are of the others, embeddings.
    """
    load = simulation.load
    return {
        "load": load.model_dump(),
        "scale": {"bytes": simulation.scale.bytes, "seconds": simulation.scale.seconds},
        "seed": simulation.seed,
        "policies": {name: _policy(outcome, simulation) for name, outcome in simulation.outcomes.items()},
    }


def _policy(outcome: Outcome, simulation: Simulation) -> dict[str, Any]:
    day, load = outcome.day, simulation.load
    peak = int(day.offered.argmax())
    return {
        "gpus": outcome.gpus,
        "gpus_serving": outcome.serving_gpus,
        "gpus_needed": outcome.needed_gpus,
        "gpus_needed_serving": outcome.needed_serving_gpus,
        "nodes_needed": None if outcome.needed is None else list(outcome.needed),
        "capacity": outcome.capacity(load),
        "offered": float(day.offered.mean()),
        "goodput": float(day.goodput.mean()),
        "goodput_at_peak": float(day.goodput[peak]),
        "in_time": day.in_time,
        "right": None if day.judged is None else float(day.judged.scores.mean()),
        "accuracy": None if day.judged is None else day.judged.mean,
        "of_experts": None if day.judged is None else day.judged.of_experts,
        "rank_correlation": None if day.ranked is None else day.ranked.mean,
        "rank_correlation_of_experts": None if day.ranked is None else day.ranked.of_experts,
        "late": day.late,
        "expired": day.expired,
        "refused": day.refused,
        "wait_seconds": day.wait_seconds,
        "groups": [
            {
                "name": kind.name,
                "nodes": kind.nodes,
                "budget": kind.budget,
                "rung": None if rung is None else rung.index,
                "ratio": None if rung is None else rung.ratio,
                "full_batch_seconds": None if rung is None else float(outcome.plan.seconds[number, -1]),
            }
            for number, (kind, rung) in enumerate(zip(outcome.plan.kinds, outcome.plan.rungs, strict=True))
        ],
        "hours": {
            "hour": load.hours.tolist(),
            "offered": day.offered.tolist(),
            "goodput": day.goodput.tolist(),
            "right": None if day.judged is None else day.judged.scores.tolist(),
        },
    }


def group_table(simulation: Simulation) -> Table:
    """A row a group of nodes: its memory for weights, its speed, and the rung that each policy gives it."""
    outcomes = list(simulation.outcomes.values())
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("nodes", no_wrap=True)
    for column in ("count", "for weights", "speed, T4s", *simulation.outcomes):
        table.add_column(column, justify="right")
    for number, kind in enumerate(outcomes[0].plan.kinds):
        rungs = [outcome.plan.rungs[number] for outcome in outcomes]
        told = ["idle" if rung is None else f"{rung.ratio:.2f}x" for rung in rungs]
        table.add_row(kind.name, f"{kind.nodes}", format_bytes(kind.budget), f"{kind.speed:.2f}", *told)
    return table


def policy_table(simulation: Simulation) -> Table:
    """A row a figure and a column a policy."""
    outcomes = list(simulation.outcomes.values())
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("of a day", no_wrap=True)
    for name in simulation.outcomes:
        table.add_column(name, justify="right")
    rows = (
        {
            "GPUs that serve": [f"{outcome.serving_gpus:.0f} of {outcome.gpus:.0f}" for outcome in outcomes],
            "capacity, requests/s": [f"{outcome.capacity(simulation.load):.0f}" for outcome in outcomes],
            "offered, requests/s": [f"{outcome.day.offered.mean():.0f}" for outcome in outcomes],
            "goodput, answers in time/s": [f"{outcome.day.goodput.mean():.0f}" for outcome in outcomes],
            "  at the peak": [f"{outcome.day.goodput[outcome.day.offered.argmax()]:.0f}" for outcome in outcomes],
            "answered in time": [f"{100 * outcome.day.in_time:.2f} %" for outcome in outcomes],
        }
        | _score_rows(outcomes)
        | {
            "mean wait in a queue": [f"{1000 * outcome.day.wait_seconds:.0f} ms" for outcome in outcomes],
            f"GPUs for {100 * simulation.load.target:g} % in time at peak": [
                _count(outcome.needed_gpus) for outcome in outcomes
            ],
            "  of these serve": [_count(outcome.needed_serving_gpus) for outcome in outcomes],
        }
    )
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _score_rows(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """What the answers are worth, by what the ladder's tasks are scored by."""
    judged = [outcome.day.judged for outcome in outcomes if outcome.day.judged is not None]
    ranked = [outcome.day.ranked for outcome in outcomes if outcome.day.ranked is not None]
    rows = {}
    if judged:
        rows["right answers in time/s"] = [f"{answers.scores.mean():.0f}" for answers in judged]
        rows["accuracy, % of experts'"] = [_percent(answers.of_experts) for answers in judged]
    if ranked:
        rows["rank correlation, % of experts'"] = [_percent(answers.of_experts) for answers in ranked]
    return rows


def _count(gpus: float | None) -> str:
    return "-" if gpus is None else f"{gpus:.0f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
