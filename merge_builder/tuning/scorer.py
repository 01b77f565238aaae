"""Score candidates at one rung, in place, computing only the rows that the journal does not know."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from merge_builder.errors import InputError
from merge_builder.ladder import RungSize
from merge_builder.tuning.candidate import UNTUNED, Candidate
from merge_builder.tuning.evaluator import Evaluator
from merge_builder.tuning.jobs import Job, Part, Spread
from merge_builder.tuning.journal import Asked, Journal, Right


class OutOfTime(Exception):
    """The search has used up the minutes it was given."""


@dataclass(frozen=True)
class Outcome:
    """How a candidate does, by task: the rows that it and the expert get right, and its accuracy over the expert's."""

    right: Mapping[str, Right]
    experts: Mapping[str, Right]
    tasks: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Over the tasks, each weighed alike."""
        return float(np.mean(list(self.tasks.values())))

    @property
    def worst(self) -> float:
        """Of the task that keeps least."""
        return min(self.tasks.values())


@dataclass
class Scorer:
    """Scores relative to the experts' on the same rows, so that few rows that are hard or easy make no difference.

    `budget` is in wall-clock seconds, over all that the journal counts; None without a limit.
    """

    evaluator: Evaluator
    journal: Journal
    budget: float | None = None
    spread: Spread | None = None
    _since: tuple[float, float] = field(default_factory=lambda: (time.process_time(), time.monotonic()), init=False)

    def score(
        self,
        rung: RungSize,
        candidate: Candidate,
        rows: int | None = None,
        part: Part = "search",
        *,
        limited: bool = False,
    ) -> Outcome:
        """The candidate at `rung`, on the first `rows` rows of every task (all, if not given) of a part.

        Raises:
            OutOfTime: it is `limited`, the budget is spent, and not all is known yet.
            InputError: an expert gets none of its held-out rows right.
        """
        experts = self._right(self.evaluator.material.ladder.manifest.rungs[0], UNTUNED, rows, part, limited)
        right = self._right(rung, candidate, rows, part, limited)
        tasks = {}
        for task, own in right.items():
            best = int(experts[task].sum())
            if best == 0 and part == "held-out":
                raise InputError(f"the expert of task {task!r} gets none of {len(own)} held-out rows right")
            tasks[task] = float(own.sum() / max(best, 1))  # of very few rows, none may be right
        return Outcome(right, experts, tasks)

    def prepare(self, rung: RungSize, candidates: Sequence[Candidate], rows: int) -> None:
        """Have others compute what will be asked next and is not known, if there are any (`spread`), and time is left.

        `score` then finds it in the journal, which is as it would be without them but for the times.
        """
        if self.spread is None or self._out_of_time():
            return
        jobs: dict[Asked, Job] = {}
        first = self.evaluator.material.ladder.manifest.rungs[0]
        for size, own in [(first, UNTUNED), *((rung, own) for own in candidates)]:
            asked = Asked(size.index, own.key, "search")
            if spans := self._missing(asked, "search", rows):
                settled = tuple((block, group, genes) for (block, group), genes in own.settled.items())
                jobs.setdefault(asked, Job(size.index, own.genes, settled, "search", spans))
        for asked, answer in zip(jobs, self.spread(list(jobs.values())), strict=True):
            self._keep(asked, answer.right, answer.cpu)

    def _right(
        self, rung: RungSize, candidate: Candidate, rows: int | None, part: Part, limited: bool
    ) -> dict[str, Right]:
        asked = Asked(rung.index, candidate.key, part)
        if spans := self._missing(asked, part, rows):
            if limited and self._out_of_time():
                raise OutOfTime
            self._keep(asked, self.evaluator.right(rung, candidate, part, spans))
        wanted = self._wanted(part, rows)
        return {task: self.journal.right(asked, task)[:count] for task, count in wanted.items()}

    def _missing(self, asked: Asked, part: Part, rows: int | None) -> dict[str, tuple[int, int]]:
        """The rows, from and to, that the journal lacks, by task."""
        known = {task: len(self.journal.right(asked, task)) for task in self.evaluator.rows(part)}
        return {task: (known[task], n) for task, n in self._wanted(part, rows).items() if known[task] < n}

    def _wanted(self, part: Part, rows: int | None) -> dict[str, int]:
        data = self.evaluator.rows(part)
        return {task: len(own) if rows is None else min(rows, len(own)) for task, own in data.items()}

    def _out_of_time(self) -> bool:
        return self.budget is not None and self.spent() > self.budget

    def _keep(self, asked: Asked, right: Mapping[str, Right], elsewhere: float = 0.0) -> None:
        """Into the journal, with the CPU seconds of this process since the last time and those spent elsewhere."""
        cpu, wall = time.process_time(), time.monotonic()
        self.journal.add(asked, dict(right), cpu - self._since[0] + elsewhere, wall - self._since[1])
        self._since = (cpu, wall)

    def spent(self) -> float:
        """Wall-clock seconds since the search began, those before it was interrupted included."""
        return self.journal.wall_seconds + time.monotonic() - self._since[1]
