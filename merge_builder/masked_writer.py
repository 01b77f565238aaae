"""One masked version, written stretch by stretch: the shared vector, the packed masks, and at the end the rescalers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merge_builder.checkpoints.dtypes import cast, numpy_dtype
from merge_builder.checkpoints.placed_writer import PlacedWriter
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.masked import RESCALERS, masks_of, pack_masks


class MaskedWriter:
    """Write a version for `tasks` tasks, of the tensors `specs` (see `masked_specs`).

    With `rescaled`, a task's rescaler is sum |task vector| / sum |mask * unified| over all that is written (0 where its
    mask is empty), else 1. Use it in a `with`: an error inside leaves no file behind.
    """

    def __init__(self, path: Path, specs: Sequence[TensorSpec], tasks: int, rescaled: bool) -> None:
        self._specs, self._rescaled = {spec.name: spec for spec in specs}, rescaled
        self._own, self._shared = np.zeros(tasks), np.zeros(tasks)
        self._writer = PlacedWriter(path, specs)

    def __enter__(self) -> "MaskedWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._writer.__exit__(kind, error, trace)

    def write(
        self,
        name: str,
        start: int,
        task_vectors: NDArray[np.float32],
        unified: NDArray[np.float32],
        masks: NDArray[np.bool_],
    ) -> None:
        """Put a stretch of the tensor `name` from the element `start` on, a multiple of 8.

        `task_vectors` and `masks` are [n, size], `unified` is [size].
        """
        dtype, masks_name = self._specs[name].dtype, masks_of(name)
        self._writer.write(name, start * numpy_dtype(dtype).itemsize, cast(unified, dtype))
        width = self._specs[masks_name].shape[1]
        for task, bits in enumerate(pack_masks(masks)):
            self._writer.write(masks_name, task * width + start // 8, bits)
        if self._rescaled:
            strength = np.abs(unified)
            for task, (vector, mask) in enumerate(zip(task_vectors, masks, strict=True)):
                self._own[task] += np.abs(vector).sum(dtype=np.float64)
                self._shared[task] += (strength * mask).sum(dtype=np.float64)

    def finish(self) -> str:
        """Put the rescalers, sync, rename, and return the file's sha256."""
        rescalers = np.ones(len(self._own))
        if self._rescaled:
            rescalers = np.divide(self._own, self._shared, out=np.zeros_like(self._own), where=self._shared > 0)
        self._writer.write(RESCALERS, 0, rescalers.astype(np.float32))
        return self._writer.finish()
