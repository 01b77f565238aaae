"""Candidates on rows, in place: what a scorer asks of this process, or a worker of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from merge_builder.evaluation import Runner
from merge_builder.ladder import RungSize
from merge_builder.tuning.bench import Bench
from merge_builder.tuning.candidate import Candidate
from merge_builder.tuning.depth.stack import Stack
from merge_builder.tuning.jobs import Part
from merge_builder.tuning.journal import Right
from merge_builder.tuning.material import Material
from merge_builder.tuning.split import Rows, Split


@dataclass
class Evaluator:
    """`stacked` runs what is a stack of layers, and no rung of the ladder."""

    bench: Bench
    material: Material
    split: Split
    stacked: Callable[[Stack], Runner] | None = None
    _placed: tuple[int, str] | None = field(default=None, init=False)

    def rows(self, part: Part) -> Mapping[str, Rows]:
        """Each task's rows of a part."""
        return self.split.search if part == "search" else self.split.held_out

    def right(
        self, rung: RungSize, candidate: Candidate, part: Part, spans: Mapping[str, tuple[int, int]]
    ) -> dict[str, Right]:
        """Which of the rows `spans[task]` (from, to) the candidate gets right at `rung`, by task."""
        run, data, found = self._runner(rung, candidate), self.rows(part), {}
        for task, (start, stop) in spans.items():
            logits = run(rung, task, data[task].rows[start:stop])
            found[task] = logits.argmax(axis=1) == data[task].labels[start:stop]
        return found

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
