"""Rounds of Hyperband over TPE in any space of candidates, for the mean or across the tasks.

Rows are the fidelity. For one objective a point's worth is the mean over the tasks; for several every bracket draws
weights of the tasks anew and looks for what is best under them (ParEGO).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from merge_builder.tuning.candidate import Candidate
from merge_builder.tuning.hyperband import Stage, brackets, run_bracket
from merge_builder.tuning.pareto import Scores, draw_weights, scalarise
from merge_builder.tuning.surrogate import Known, Tree

if TYPE_CHECKING:
    import optuna


# Told before they are scored, in this order, on so many rows.
Prepare = Callable[[Sequence[Candidate], int], None]


def one_by_one(_candidates: Sequence[Candidate], _rows: int) -> None:
    """Nobody computes ahead."""


def search_rounds(
    make: Callable[["optuna.Trial"], Candidate | None],
    score: Callable[[Candidate, int], Scores],
    first: Sequence[Mapping[str, Any]],
    tasks: Sequence[str],
    *,
    prepare: Prepare = one_by_one,
    rows: tuple[int, int],
    trials: int,
    seed: int,
    several: bool = False,
) -> None:
    """Score `trials` points or a few more, on `rows` rows at least and at most, in whole rounds of Hyperband.

    `make` reads a candidate off a point (None: there is no such model, which counts as one that gets nothing right);
    `score` gives each task's accuracy relative to its expert's on so many rows. `first` are points, as parameters of
    the space, that are scored on all rows before TPE asks for any. `several`: look for what is good for some tasks, not
    for the mean alone.
    """

    def ahead(points: Sequence["optuna.Trial"], count: int) -> None:
        prepare([own for own in map(make, points) if own is not None], count)

    def rate(point: "optuna.Trial", count: int) -> Scores:
        candidate = make(point)
        return dict.fromkeys(tasks, 0.0) if candidate is None else score(candidate, count)

    opening = Tree(seed, starts=0)
    points = [opening.ask(parameters) for parameters in first[:trials]]
    ahead(points, rows[1])
    history = [(point, rate(point, rows[1])) for point in points]
    asked = given = len(history)
    for number, stages in enumerate(_rounds(rows)):
        if asked >= trials:
            return
        weights = draw_weights(tasks, (seed, number)) if several else None
        _bracket(stages, Tree(seed + number, given, _known(history, weights)), rate, ahead, history, weights)
        asked += stages[0].count


def expected(rows: tuple[int, int], trials: int, first: int) -> int:
    """About how many scores a search of `trials` candidates takes, of which `first` are given; and the untuned one."""
    asked = min(first, trials)
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
    ahead: Callable[[Sequence["optuna.Trial"], int], None],
    history: list[tuple["optuna.Trial", Scores]],
    weights: Scores | None,
) -> None:
    before = [scores for _, scores in history]
    last: dict[int, Scores] = {}

    def score(trial: "optuna.Trial", count: int) -> float:
        last[trial.number] = rate(trial, count)
        return _worth(last[trial.number], weights, before)

    run_bracket(stages, tree.ask, score, lambda trial, _: history.append((trial, last[trial.number])), ahead)


def _known(history: Sequence[tuple["optuna.Trial", Scores]], weights: Scores | None) -> list[Known]:
    before = [scores for _, scores in history]
    return [Known(trial.params, trial.distributions, _worth(scores, weights, before)) for trial, scores in history]


def _worth(scores: Scores, weights: Scores | None, known: Sequence[Scores]) -> float:
    return float(np.mean(list(scores.values()))) if weights is None else scalarise(scores, weights, known)
