"""The plan of one batch: which rows exist at each stage, and which version works on which of their tokens. Pure data.

A row is one text on behalf of the tasks that still share it. A text's row forks at the first stage where a block parts
its tasks, and rows never join again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from serving.engine.layout import StageLayout, Unit, VersionIds

Slice = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """`length` tokens of text number `text`; at the tail a sequence is one token long."""

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
    layouts: Sequence[StageLayout], lengths: Sequence[int], tasks: Sequence[Sequence[str]]
) -> tuple[StagePlan, ...]:
    """Plan a batch of texts with `lengths[i]` tokens each, of which `tasks[i]` are asked; one StagePlan per layout."""
    rows = tuple(Row(text, tuple(asked), lengths[text]) for text, asked in enumerate(tasks))
    plans = []
    for number, layout in enumerate(layouts):
        if number == len(layouts) - 1:
            rows = tuple(Row(row.text, row.tasks, 1) for row in rows)
        placed = sorted(_fork(rows, layout), key=lambda p: (layout.rank[p[0].tasks[0]], p[0].length))
        source = tuple(parent for _, parent in placed)
        in_place = number == 0 or source == tuple(range(len(rows)))
        rows = tuple(row for row, _ in placed)
        spans = _spans(rows, layout)
        runs = {unit: _runs(spans, versions) for unit, versions in layout.versions.items()}
        plans.append(StagePlan(rows, None if in_place else source, runs, _equal_lengths(rows)))
    return tuple(plans)


def _fork(rows: Sequence[Row], layout: StageLayout) -> Iterable[tuple[Row, int]]:
    """Part each row into one per branch, with the number of the row it comes from."""
    for parent, row in enumerate(rows):
        if len(row.tasks) == 1:
            yield row, parent
            continue
        parts: dict[int, list[str]] = {}
        for task in row.tasks:
            parts.setdefault(layout.branch[task], []).append(task)
        for part in parts.values():
            yield Row(row.text, tuple(part), row.length), parent


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
