"""The plan of one batch: which rows exist at each stage, and which version works on which of their tokens. Pure data.

A row is one text on behalf of the tasks that still share it. A text's row forks at the first stage where a block parts
its tasks, and rows never join again.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from serving.engine.layout import StageLayout, Unit, VersionIds

Slice = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """`length` tokens of text number `text`; at the tail, of those that its tasks' heads read."""

    text: int
    tasks: tuple[str, ...]
    length: int


@dataclass(frozen=True)
class Run:
    """One use of a unit: these versions of its blocks (in the unit's order) work on these slices of the tokens."""

    versions: VersionIds
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class StagePlan:
    """One stage: its rows end to end, in order.

    `source[i]` is the row of the stage before that row i goes on from, or `source` is None where all rows stay as they
    lie. `runs[unit]` names each version once. `attention` holds (sequences, length) for neighbouring rows of equal
    length.
    """

    rows: tuple[Row, ...]
    source: tuple[int, ...] | None
    runs: Mapping[Unit, tuple[Run, ...]]
    attention: tuple[tuple[int, int], ...]

    @property
    def tokens(self) -> int:
        """All rows' tokens together."""
        return sum(row.length for row in self.rows)


def plan_batch(
    layouts: Sequence[StageLayout],
    lengths: Sequence[int],
    tasks: Sequence[Sequence[str]],
    whole: Collection[str] = (),
) -> tuple[StagePlan, ...]:
    """Plan a batch of texts with `lengths[i]` tokens each, of which `tasks[i]` are asked; one StagePlan per layout.

    At the last, the tail, a row has all its tokens only if one of its tasks is among `whole`; otherwise the first.
    """
    rows = tuple(Row(text, tuple(asked), lengths[text]) for text, asked in enumerate(tasks))
    plans = []
    for number, layout in enumerate(layouts):
        if layout.merges > 1:
            rows = tuple(replace(row, length=row.length // layout.merges) for row in rows)
        forked = _fork(rows, layout.branch)
        if number == len(layouts) - 1:
            forked = ((row if _any(row.tasks, whole) else replace(row, length=1), parent) for row, parent in forked)
        plan = _stage(forked, layout)
        if number == 0 or plan.source == tuple(range(len(rows))):
            plan = replace(plan, source=None)
        plans.append(plan)
        rows = plan.rows
    return tuple(plans)


def plan_pool(layout: StageLayout, tail: StagePlan, readings: Mapping[str, Hashable]) -> StagePlan:
    """The stage behind the tail: a row of one token for what is read on behalf of the tasks among `readings`.

    Tasks of one row part also where they do not read alike. `source` names rows of the tail, and is never None.
    """
    rows = [replace(row, tasks=tuple(task for task in row.tasks if task in readings), length=1) for row in tail.rows]
    forked = _fork(rows, {task: (layout.branch[task], reading) for task, reading in readings.items()})
    return _stage(((row, parent) for row, parent in forked if row.tasks), layout)


def _stage(forked: Iterable[tuple[Row, int]], layout: StageLayout) -> StagePlan:
    placed = sorted(forked, key=lambda p: (layout.rank[p[0].tasks[0]], p[0].length))
    rows = tuple(row for row, _ in placed)
    spans = _spans(rows, layout)
    runs = {unit: _runs(spans, versions) for unit, versions in layout.versions.items()}
    return StagePlan(rows, tuple(parent for _, parent in placed), runs, _equal_lengths(rows))


def _any(tasks: Iterable[str], among: Collection[str]) -> bool:
    return bool(among) and not set(tasks).isdisjoint(among)


def _fork(rows: Sequence[Row], branch: Mapping[str, Hashable]) -> Iterable[tuple[Row, int]]:
    """Part each row into one per branch, with the number of the row it comes from."""
    for parent, row in enumerate(rows):
        if len(row.tasks) < 2:
            yield row, parent
            continue
        parts: dict[Hashable, list[str]] = {}
        for task in row.tasks:
            parts.setdefault(branch[task], []).append(task)
        for part in parts.values():
            yield replace(row, tasks=tuple(part)), parent


def _spans(rows: Sequence[Row], layout: StageLayout) -> list[tuple[int, int, int]]:
    """(rank, first token, one past the last) for every rank that occurs; the rows lie in the order of their rank."""
    spans, start = [], 0
    for rank, members in groupby(rows, key=lambda row: layout.rank[row.tasks[0]]):
        end = start + sum(row.length for row in members)
        spans.append((rank, start, end))
        start = end
    return spans


def _runs(spans: Iterable[tuple[int, int, int]], versions: Sequence[VersionIds]) -> tuple[Run, ...]:
    slices: dict[VersionIds, list[Slice]] = {}
    for rank, start, end in spans:
        own = slices.setdefault(versions[rank], [])
        if own and own[-1][1] == start:
            start = own.pop()[0]
        own.append((start, end))
    return tuple(Run(ids, tuple(own)) for ids, own in slices.items())


def _equal_lengths(rows: Iterable[Row]) -> tuple[tuple[int, int], ...]:
    return tuple((len(list(members)), length) for length, members in groupby(row.length for row in rows))
