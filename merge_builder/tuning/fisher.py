"""Diagonal Fisher information of each expert along its own task vector, computed once and kept on disk.

DF-Merge (arXiv 2504.18992, section 3) evaluates it at theta0 + lambda tau, not at the expert. Here lambda is brought to
the nearest multiple of 1/8, so that a search needs at most nine passes an expert whatever the groups' sizes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merge_builder.evaluation import Row
from merge_builder.methods.contract import Array
from merge_builder.tuning.arrays import save_whole
from merge_builder.tuning.bench import Curvature
from merge_builder.tuning.candidate import Site
from merge_builder.tuning.material import Material

STEPS = 8  # a unit of lambda
ROWS = 30  # unlabelled rows of each task, as published


@dataclass
class FisherCache:
    """Fisher values of the tensors that can be tuned, from `rows[task]`; a file for each expert and point."""

    folder: Path
    material: Material
    curvature: Curvature
    rows: Mapping[str, tuple[Row, ...]]

    @property
    def passes(self) -> int:
        """How many were computed, before an interruption too."""
        return len(list(self.folder.glob("*.npy")))

    def at(self, site: Site, task: int, point: float) -> Array:
        """Values at base + point * task vector for one tensor of one expert, fp32 in the tensor's shape."""
        values = np.load(self._file(task, step_of(point)), mmap_mode="r")
        start, stop = self._spans[site.tensor]
        own: Array = values[start:stop].reshape(site.shape)
        return own

    def __post_init__(self) -> None:
        self._spans: dict[str, tuple[int, int]] = {}
        end = 0
        for block in self.material.blocks.values():
            for name, origin in zip(block.names, block.base, strict=True):
                if name not in self.material.still:
                    self._spans[name] = (end, end + prod(origin.shape))
                    end += prod(origin.shape)

    def _file(self, task: int, step: int) -> Path:
        path = self.folder / f"{task}-{step}.npy"
        if not path.exists():
            save_whole(path, self._compute(task, step / STEPS))
        return path

    def _compute(self, task: int, point: float) -> NDArray[np.float32]:
        weights: dict[str, Array] = {}
        for block in self.material.blocks.values():
            for index, name in enumerate(block.names):
                if name in self._spans:
                    site = Site(block, index, (task,))
                    base = block.base[index].read().astype(np.float32, copy=False).reshape(site.shape)
                    weights[name] = base + np.float32(point) * site.vectors()[0]
        name = self.material.tasks[task]
        found = self.curvature(name, weights, self.rows[name])
        wrong = sorted({str(values.dtype) for values in found.values()} - {"float32", "float64"})
        if wrong:  # squares of gradients vanish in 16 bits
            raise TypeError(f"Fisher values of {name} came in {wrong[0]}: at least float32 is needed")
        return np.concatenate([found[tensor].reshape(-1).astype(np.float32, copy=False) for tensor in self._spans])


def step_of(point: float) -> int:
    """The multiple of 1/`STEPS` that stands for `point`, which is cut to [0, 1]."""
    return round(min(max(point, 0.0), 1.0) * STEPS)
