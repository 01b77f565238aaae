"""From a goal for the score to a rung: the smallest whose evaluated score reaches it.

smallest_reaching(ladder.manifest, 0.95, worst=False)
"""

from merge_builder.errors import InputError
from merge_builder.evaluation.summary import RungSummary, summarise
from merge_builder.ladder.manifest import Manifest


def smallest_reaching(manifest: Manifest, goal: float, *, worst: bool) -> RungSummary:
    """The evaluated rung of the fewest bytes whose normalised score is at least `goal`.

    The score is the mean over the tasks or, with `worst`, that of the worst task; 1 is the experts' own. Every
    evaluated rung is looked at, for a larger one may score less; rungs between evaluated ones are not guessed.

    Raises:
        InputError: no rung was evaluated, or none reaches the goal; then the message tells the best.
    """
    rungs = summarise(manifest)
    if not rungs:
        raise InputError("no rung of this ladder was evaluated: run mergeladder evaluate LADDER --data DATA.yaml first")
    for rung in rungs:  # from the smallest
        if _score(rung, worst) >= goal:
            return rung
    best = max(rungs, key=lambda rung: _score(rung, worst))
    what = "worst task" if worst else "mean over the tasks"
    raise InputError(
        f"no evaluated rung reaches {goal:g} of the experts' own score ({what}): the best is rung #{best.size.index} "
        f"({best.size.ratio:.2f}x) with {_score(best, worst):.4f}; ask for less or evaluate more rungs"
    )


def _score(rung: RungSummary, worst: bool) -> float:
    return rung.worst.normalised if worst else rung.mean
