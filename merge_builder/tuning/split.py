"""The rows of a search and those that it never sees.

Rows are shuffled once by a seed. A fidelity is a number of rows of each task, always the first of the search's: larger
ones contain the smaller, so what was computed for a prefix is used again.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merge_builder.errors import InputError
from merge_builder.evaluation import Row, TaskData

HELD_OUT = 0.4  # of each task's rows
FEWEST = 10  # rows of a task


@dataclass(frozen=True)
class Rows:
    """Rows of one task in a fixed order, and their label ids."""

    rows: tuple[Row, ...]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Split:
    """Each task's rows for the search, and those held out from it."""

    search: Mapping[str, Rows]
    held_out: Mapping[str, Rows]


def split_rows(data: Mapping[str, TaskData], seed: int) -> Split:
    """Hold `HELD_OUT` of every task's rows out; the same seed gives the same split.

    Raises:
        InputError: a task has fewer than `FEWEST` rows.
    """
    search, held_out = {}, {}
    for task, own in data.items():
        if len(own.rows) < FEWEST:
            raise InputError(
                f"task {task!r} has {len(own.rows)} rows: a search needs {FEWEST} at least, "
                f"of which {HELD_OUT:.0%} are held out"
            )
        order = np.random.default_rng([seed, zlib.crc32(task.encode())]).permutation(len(own.rows))
        cut = round(HELD_OUT * len(order))
        held_out[task], search[task] = _take(own, order[:cut]), _take(own, order[cut:])
    return Split(search, held_out)


def _take(data: TaskData, order: NDArray[np.int64]) -> Rows:
    if len(data.labels) != len(data.rows):
        raise InputError(f"a search takes rows with one label each, and those of a {data.kind} have other ones")
    return Rows(tuple(data.rows[i] for i in order), np.array(data.labels, np.int64)[order])
