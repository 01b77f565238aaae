"""What merge methods ask of whole task vectors, gathered block by block."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from merge_builder.lengths import matrix_lengths, task_length
from merge_builder.materialise import BlockInput
from merge_builder.methods import Method
from merge_builder.methods.contract import MEASURED
from merge_builder.statistics import BINS, Magnitudes, magnitudes


class Measures:
    """Those of `contract.MEASURED` that `method` takes, of `tasks` task vectors. Threads may add blocks at once."""

    def __init__(self, method: Method, tasks: int) -> None:
        self.wanted = [name for name in MEASURED if name in method.inputs]
        self._counts = np.zeros((tasks if "magnitudes" in self.wanted else 0, BINS), np.int64)
        self._lengths: list[list[float]] = [[] for _ in range(tasks)]
        self._lock = threading.Lock()

    def add(self, block: BlockInput) -> None:
        """Read the block, where anything is asked, and count it in."""
        if "magnitudes" in self.wanted:
            for total, expert in zip(self._counts, block.experts, strict=True):
                counts = magnitudes(block.base, expert).counts
                with self._lock:
                    total += counts
        if "lengths" in self.wanted:
            for found, expert in zip(self._lengths, block.experts, strict=True):
                lengths = matrix_lengths(block.base, expert)
                with self._lock:
                    found += lengths

    def result(self) -> Mapping[str, Sequence[Any]]:
        """By the method's name for it, one of each task; whatever the order in which blocks were added."""
        made: dict[str, Sequence[Any]] = {
            "magnitudes": [Magnitudes(counts) for counts in self._counts],
            "lengths": [task_length(found) for found in self._lengths],
        }
        return {name: made[name] for name in self.wanted}
