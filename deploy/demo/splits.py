"""Train, validation and test rows of a task: always the same ones, with near-duplicates on one side."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deploy.demo.duplicates import duplicate_groups
from merge_builder.evaluation import Row

SEED = 0
MAX_CHARACTERS = 600


@dataclass(frozen=True)
class Splits:
    """The rows of one task."""

    train: list[Row]
    validation: list[Row]
    test: list[Row]


@dataclass(frozen=True)
class Sizes:
    """How many rows to keep at most; a label with fewer than `least_per_label` rows is left out."""

    train: int = 4000
    validation: int = 300
    test: int = 300
    least_per_label: int = 50

    @property
    def all(self) -> int:
        return self.train + self.validation + self.test


def split(rows: Iterable[Row], sizes: Sizes) -> Splits:
    """Split `rows`, cut to `MAX_CHARACTERS`, into at most `sizes`; the same rows give the same splits.

    Rows whose texts carry several labels are dropped, as are labels of too few rows; of a frequent label a random
    choice stays, twice its even share. Whole groups of near-duplicates go to one side; of pairs, rows whose first
    texts are near-duplicates.
    """
    rng = random.Random(SEED)
    kept = _capped(_distinct(rows), sizes, rng)
    groups = defaultdict(list)
    for row, group in zip(kept, duplicate_groups([row.text for row in kept]), strict=True):
        groups[group].append(row)
    order = list(groups.values())
    rng.shuffle(order)
    test = _take(order, sizes.test)
    validation = _take(order, sizes.validation)
    train = [row for group in order for row in group]
    rng.shuffle(train)
    return Splits(train[: sizes.train], validation, test)


def _distinct(rows: Iterable[Row]) -> list[Row]:
    """The distinct rows, cut and in a fixed order, without those whose text stands under several labels."""
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row.text.strip():
            labels[row.text[:MAX_CHARACTERS], (row.text_pair or "")[:MAX_CHARACTERS]].add(row.label)
    return [
        Row(text=text, text_pair=pair or None, label=min(names))
        for (text, pair), names in sorted(labels.items())
        if len(names) == 1
    ]


def _capped(rows: Sequence[Row], sizes: Sizes, rng: random.Random) -> list[Row]:
    counts = Counter(row.label for row in rows)
    labels = {label for label, count in counts.items() if count >= sizes.least_per_label}
    most = 2 * sizes.all // max(1, len(labels))
    taken: Counter[str] = Counter()
    kept = []
    for row in rng.sample(rows, len(rows)):
        taken[row.label] += 1
        if row.label in labels and taken[row.label] <= most:
            kept.append(row)
    return kept


def _take(groups: list[list[Row]], count: int) -> list[Row]:
    """Move whole groups from the end of `groups` into a list of at most `count` rows; large ones stay."""
    taken: list[Row] = []
    left = []
    while groups and len(taken) < count:
        group = groups.pop()
        if len(group) <= max(1, count // 10) and len(taken) + len(group) <= count:
            taken.extend(group)
        else:
            left.append(group)
    groups.extend(left)
    return taken
