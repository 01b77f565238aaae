"""Score candidates at one rung, in place, computing only the rows that the journal does not know."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from merge_builder.errors import InputError
from merge_builder.evaluation import Runner
from merge_builder.ladder import RungSize
from merge_builder.tuning.bench import Bench
from merge_builder.tuning.candidate import UNTUNED, Candidate
from merge_builder.tuning.depth.stack import Stack
from merge_builder.tuning.journal import Asked, Journal, Right
from merge_builder.tuning.material import Material
from merge_builder.tuning.split import Rows, Split

Part = Literal["search", "held-out"]


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

    `stacked` runs what is a stack of layers, and no rung of the ladder.
    `budget` is in wall-clock seconds, over all that the journal counts; None without a limit.
    """

    bench: Bench
    material: Material
    split: Split
    journal: Journal
    budget: float | None = None
    stacked: Callable[[Stack], Runner] | None = None
    _placed: tuple[int, str] | None = field(default=None, init=False)
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
        experts = self._right(self.material.ladder.manifest.rungs[0], UNTUNED, rows, part, limited)
        right = self._right(rung, candidate, rows, part, limited)
        tasks = {}
        for task, own in right.items():
            best = int(experts[task].sum())
            if best == 0 and part == "held-out":
                raise InputError(f"the expert of task {task!r} gets none of {len(own)} held-out rows right")
            tasks[task] = float(own.sum() / max(best, 1))  # of very few rows, none may be right
        return Outcome(right, experts, tasks)

    def _right(
        self, rung: RungSize, candidate: Candidate, rows: int | None, part: Part, limited: bool
    ) -> dict[str, Right]:
        data = self.split.search if part == "search" else self.split.held_out
        asked = Asked(rung.index, candidate.key, part)
        wanted = {task: len(own) if rows is None else min(rows, len(own)) for task, own in data.items()}
        known = {task: len(self.journal.right(asked, task)) for task in data}
        if any(known[task] < wanted[task] for task in data):
            if limited and self.budget is not None and self.spent() > self.budget:
                raise OutOfTime
            self._run(rung, candidate, asked, {t: (known[t], wanted[t]) for t in data if known[t] < wanted[t]}, data)
        return {task: self.journal.right(asked, task)[: wanted[task]] for task in data}

    def _run(
        self,
        rung: RungSize,
        candidate: Candidate,
        asked: Asked,
        spans: Mapping[str, tuple[int, int]],
        data: Mapping[str, Rows],
    ) -> None:
        run, found = self._runner(rung, candidate), {}
        for task, (start, stop) in spans.items():
            logits = run(rung, task, data[task].rows[start:stop])
            found[task] = logits.argmax(axis=1) == data[task].labels[start:stop]
        cpu, wall = time.process_time(), time.monotonic()
        self.journal.add(asked, found, cpu - self._since[0], wall - self._since[1])
        self._since = (cpu, wall)

    def spent(self) -> float:
        """Wall-clock seconds since the search began, those before it was interrupted included."""
        return self.journal.wall_seconds + time.monotonic() - self._since[1]

    def _runner(self, rung: RungSize, candidate: Candidate) -> Runner:
        if candidate.stack is not None:
            assert self.stacked is not None, "a search of stacks says how to run them"
            return self.stacked(candidate.stack)
        if self._placed == (rung.index, candidate.key):
            return self.bench.run
        self._placed = None
        made = ((place, candidate.at(place.version.block, place.group)) for place in self.material.places(rung))
        versions = {place.version: self.material.merge(place, formula) for place, formula in made if formula}
        self.bench.put(rung, versions)
        self._placed = (rung.index, candidate.key)
        return self.bench.run
