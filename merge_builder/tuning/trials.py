"""The trials of one search: what was scored on all its rows, the best so far, and the best few on more rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from merge_builder.ladder import RungSize
from merge_builder.linkage import Group
from merge_builder.tuning.candidate import Candidate, beside
from merge_builder.tuning.pareto import nondominated
from merge_builder.tuning.scorer import Outcome, Scorer
from merge_builder.tuning.settings import RESCORE, RESCORED


@dataclass(frozen=True)
class Trial:
    """A candidate was scored: number `number` of about `of`; `score` and `best` are means relative to the experts'.

    `best` is over the candidates on all rows, None before the first. `seconds_left` is what the search so far tells.
    """

    rung: RungSize
    number: int
    of: int
    rows: int
    score: float
    best: float | None
    seconds_left: float


OnTrial = Callable[[Trial], None]


@dataclass
class Trials:
    """Scores candidates at a rung and remembers those that were scored on all `rows`.

    `fixed` holds the versions that another rung's search has settled. `expected` is the number of scores to come.
    """

    scorer: Scorer
    rung: RungSize
    rows: int
    expected: int
    fixed: Mapping[tuple[str, Group], Candidate]
    on_trial: OnTrial
    finished: dict[str, tuple[Candidate, Outcome]] = field(default_factory=dict)
    count: int = 0
    _begin: float = field(default_factory=time.monotonic)

    def prepare(self, candidates: Sequence[Candidate], rows: int) -> None:
        """As `Scorer.prepare`: these will be scored next, in this order."""
        self.scorer.prepare(self.rung, [beside(own, self.fixed) for own in candidates], rows)

    def score(self, candidate: Candidate, rows: int) -> Outcome:
        """The candidate on the first `rows` rows of every task.

        Raises:
            OutOfTime: the budget is spent.
        """
        own = beside(candidate, self.fixed)
        outcome = self.scorer.score(self.rung, own, rows, limited=True)
        self.count += 1
        if rows == self.rows:
            self.finished.setdefault(own.key, (own, outcome))
        self.on_trial(self._trial(rows, outcome.mean))
        return outcome

    def winner(self) -> tuple[Candidate, Outcome] | None:
        """The best of the `RESCORED` best that change something, on `RESCORE` times the rows; of equals the first."""
        changing = [found for found in self.finished.values() if found[0].changes]
        ranked = sorted(changing, key=lambda found: -found[1].mean)[:RESCORED]
        self.scorer.prepare(self.rung, [own for own, _ in ranked], RESCORE * self.rows)
        again = [(own, self.scorer.score(self.rung, own, RESCORE * self.rows)) for own, _ in ranked]
        return max(again, key=lambda found: found[1].mean, default=None)

    def pareto(self) -> list[tuple[Candidate, Outcome]]:
        """Of the candidates on all rows those that no other dominates across the tasks."""
        found = list(self.finished.values())
        return [found[place] for place in nondominated([outcome.tasks for _, outcome in found])] if found else []

    def _trial(self, rows: int, score: float) -> Trial:
        best = max((outcome.mean for _, outcome in self.finished.values()), default=None)
        left = (time.monotonic() - self._begin) / self.count * max(self.expected - self.count, 0)
        if self.scorer.budget is not None:
            left = min(left, max(self.scorer.budget - self.scorer.spent(), 0.0))
        return Trial(self.rung, self.count, max(self.expected, self.count), rows, score, best, left)
