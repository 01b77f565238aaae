"""The memory table, and the smallest rung for some goals."""

from collections.abc import Sequence
from dataclasses import dataclass

from merge_builder.evaluation import RungSummary
from merge_builder.ladder import rung_at
from merge_builder.ladder.manifest import RungSize
from merge_builder.report.subject import Subject

GOALS = (0.90, 0.95, 0.99)


@dataclass(frozen=True)
class SizeRow:
    """A rung with what it saves of rung 0's bytes, what it stores, and its scores where it was evaluated."""

    size: RungSize
    saved: float
    versions: int
    shared_by_all: int
    scores: RungSummary | None


@dataclass(frozen=True)
class Goal:
    """The smallest evaluated rung whose mean is at least `score` of the experts'; None if none is."""

    score: float
    rung: RungSummary | None
    share: float


def size_rows(subject: Subject) -> list[SizeRow]:
    """A row for each rung that the report shows, from the smallest on."""
    scores = {rung.size.index: rung for rung in subject.rungs}
    return [_row(subject, size, scores.get(size.index)) for size in subject.sizes]


def goals(subject: Subject) -> list[Goal]:
    """What some goals cost; empty where nothing was evaluated."""
    return [_goal(subject.rungs, score) for score in GOALS] if subject.rungs else []


def _row(subject: Subject, size: RungSize, scores: RungSummary | None) -> SizeRow:
    stored = rung_at(subject.manifest, size.index).stored()
    everyone = sum(len(version.tasks) == len(subject.manifest.tasks) for version in stored)
    saved = 1 - size.bytes / subject.manifest.rungs[0].bytes
    return SizeRow(size, saved, len(stored), everyone, scores)


def _goal(rungs: Sequence[RungSummary], score: float) -> Goal:
    found = next((rung for rung in rungs if rung.mean >= score), None)
    largest = max(rung.size.bytes for rung in rungs)
    return Goal(score, found, found.size.bytes / largest if found else 1.0)
