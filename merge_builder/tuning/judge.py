"""What a search has found, judged on the rows that it never saw."""

from dataclasses import replace

from merge_builder.tuning.candidate import UNTUNED, Candidate
from merge_builder.tuning.journal import Cost
from merge_builder.tuning.report import RungReport, held_out_score, sureness
from merge_builder.tuning.scorer import Scorer
from merge_builder.tuning.settings import Objective
from merge_builder.tuning.trials import Trials

SURE = 0.9  # the share of resamples of the held-out rows in which a result has to be better


def judge(scorer: Scorer, trials: Trials, objective: Objective) -> tuple[RungReport, Candidate | None]:
    """The report of a rung whose search is over, and the best candidate; None where nothing was scored in time.

    It is to be published if its mean on the held-out rows is above the untuned ladder's, in `SURE` of paired resamples
    too.
    """
    size, winner = trials.rung, trials.winner()
    untuned = scorer.score(size, UNTUNED, part="held-out")
    front = trials.pareto() if objective == "pareto" else []
    pareto = tuple((own.genes, outcome.tasks) for own, outcome in front)
    because = "nothing was scored in time"
    report = RungReport(size, False, because, None, held_out_score(untuned), None, Cost(), pareto=pareto)
    if winner is not None:
        found = scorer.score(size, winner[0], part="held-out")
        sure = sureness(found, untuned)
        better = found.mean > untuned.mean and sure >= SURE
        because = f"it {'beats' if better else 'does not surely beat'} the untuned ladder on the held-out rows"
        told = held_out_score(found)
        report = replace(report, published=better, because=because, genes=winner[0].genes, found=told, sure=sure)
    report = replace(report, cost=scorer.journal.costs.get(size.index, Cost()))
    return report, None if winner is None else winner[0]
