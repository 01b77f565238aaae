"""One ladder as the report sees it: its name on the page, and what its scores say."""

from collections.abc import Sequence
from dataclasses import dataclass

from merge_builder.evaluation import RungSummary, rungs_to_evaluate, summarise
from merge_builder.ladder.manifest import Manifest, RungSize
from merge_builder.ladder.store import Ladder


@dataclass(frozen=True)
class Subject:
    """A ladder under the name that tells it from the others of the page; `rungs` from the smallest on."""

    name: str
    manifest: Manifest
    rungs: Sequence[RungSummary]

    @property
    def sizes(self) -> Sequence[RungSize]:
        """The rungs that tables show, from the smallest on: those evaluated, or else a few that tell all sizes."""
        return [rung.size for rung in self.rungs] or list(reversed(rungs_to_evaluate(self.manifest, None)))


def subjects_of(ladders: Sequence[Ladder]) -> list[Subject]:
    """The ladders with their scores summed up, named by their folders, or by whole paths where those are equal."""
    names = [ladder.name for ladder in ladders]
    return [
        Subject(name if names.count(name) == 1 else str(ladder.root), ladder.manifest, summarise(ladder.manifest))
        for name, ladder in zip(names, ladders, strict=True)
    ]


def comparable(subjects: Sequence[Subject]) -> bool:
    """Whether all evaluated `subjects` were evaluated on the same tasks and rows."""
    rows = [
        {task: own.score.data_sha256 for task, own in subject.rungs[0].tasks.items()}
        for subject in subjects
        if subject.rungs
    ]
    return all(own == rows[0] for own in rows)
