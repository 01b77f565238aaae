"""What several experts predict together: the size and the work of all of them, for every task."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from merge_builder.evaluation import Row
from merge_builder.ladder import Ladder, rung_at
from merge_builder.task_weights import open_task
from merge_builder.tuning import Bench
from merge_builder.tuning.bench import Tensors


def ensemble(bench: Bench, ladder: Ladder, task: str, rows: Sequence[Row]) -> NDArray[np.float64]:
    """The mean over the experts of the probabilities that `task`'s own head reads off each one's encoder.

    Shape (rows, labels). The bench is left with the experts as they are stored.
    """
    first = rung_at(ladder.manifest, 0)
    own = {block: versions[task] for block, versions in first.versions.items()}
    total = 0.0
    for expert in ladder.manifest.tasks:
        weights = _encoder(ladder, expert.name)
        bench.put(first.size, {version: weights[block] for block, version in own.items()})
        logits = bench.run(first.size, task, rows).astype(np.float64)
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        total = total + chances / chances.sum(axis=1, keepdims=True)
    bench.put(first.size, {})
    mean: NDArray[np.float64] = np.asarray(total) / len(ladder.manifest.tasks)
    return mean


def _encoder(ladder: Ladder, task: str) -> dict[str, Tensors]:
    """The expert's tensors by block."""
    with open_task(ladder, rung_at(ladder.manifest, 0), task) as stored:
        return {
            block.name: {spec.name: np.array(stored[spec.name].read()).reshape(spec.shape) for spec in block.tensors}
            for block in ladder.manifest.blocks
        }
