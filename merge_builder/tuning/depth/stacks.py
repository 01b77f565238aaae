"""Stacks of any depth, each by a running model whose weights are exchanged in place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merge_builder.evaluation import Row, Runner
from merge_builder.ladder import Ladder, RungSize, open_ladder, rung_at
from merge_builder.ladder.store import MANIFEST
from merge_builder.tuning.bench import Bench
from merge_builder.tuning.depth.ladder import write_stack
from merge_builder.tuning.depth.sources import Sources
from merge_builder.tuning.depth.stack import Stack

_MOST_OPEN = 2


@dataclass
class Stacks:
    """The first stack of each depth is written into `folder` as a ladder, over which `make_bench` makes a model; those
    that follow are put into it. Models of the `_MOST_OPEN` depths used last stay in memory."""

    sources: Sources
    folder: Path
    make_bench: Callable[[Ladder], Bench]
    _open: dict[int, tuple[Ladder, Bench]] = field(default_factory=dict)

    def runner(self, stack: Stack) -> Runner:
        """Runs the stack, whatever rung it is asked for, until another call."""
        ladder, bench = self._opened(stack)
        only = rung_at(ladder.manifest, 0)
        versions = {version.block: version for version in only.stored()}
        bench.put(only.size, {versions[name]: tensors for name, tensors in self.sources.weights(stack)})

        def run(_rung: RungSize, task: str, rows: Sequence[Row]) -> NDArray[np.float32]:
            return bench.run(only.size, task, rows)

        return run

    def _opened(self, stack: Stack) -> tuple[Ladder, Bench]:
        depth = len(stack.layers)
        found = self._open.pop(depth, None)
        if found is None:
            while len(self._open) >= _MOST_OPEN:
                del self._open[next(iter(self._open))]
            folder = self.folder / str(depth)
            there = (folder / MANIFEST).exists()
            ladder = open_ladder(folder) if there else write_stack(self.sources, stack, folder)
            found = ladder, self.make_bench(ladder)
        self._open[depth] = found
        return found
