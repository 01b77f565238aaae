"""A ladder's router as it is used: from the tokens of a text to how likely each task is.

router = load_router(ladder)
router.confidences(token_ids)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from merge_builder.errors import MergeLadderError
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.store import Ladder

TOKENS, BIAS = "tokens", "bias"


@dataclass(frozen=True)
class Router:
    """`tokens`, float32 (vocabulary, tasks), and `bias`, float32 (tasks,), for `tasks` in the ladder's order.

    It is a linear layer on the mean of a text's token embeddings, with the embeddings multiplied in: what is left of a
    token is a score for each task. So it is the same at every rung, and looks up what others would compute.
    """

    tasks: tuple[str, ...]
    tokens: NDArray[np.float32]
    bias: NDArray[np.float32]

    def confidences(self, token_ids: Sequence[int]) -> NDArray[np.float64]:
        """The softmax over the tasks, (tasks,), for one text of at least one token; whatever else is asked about."""
        scores = self.tokens[list(token_ids)].mean(axis=0, dtype=np.float64) + self.bias
        weights = np.exp(scores - scores.max())
        return np.asarray(weights / weights.sum())

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.tokens.nbytes + self.bias.nbytes


def router_specs(vocabulary: int, tasks: int) -> tuple[TensorSpec, ...]:
    """The tensors of `router.safetensors`."""
    return (
        TensorSpec(name=TOKENS, dtype="F32", shape=(vocabulary, tasks)),
        TensorSpec(name=BIAS, dtype="F32", shape=(tasks,)),
    )


def load_router(ladder: Ladder) -> Router | None:
    """The ladder's router, or None where it has none.

    Raises:
        MergeLadderError: its file is missing, unreadable or does not hold what the manifest says.
    """
    entry = ladder.manifest.router
    if entry is None:
        return None
    path = ladder.router_path
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise MergeLadderError(f"{path} cannot be read: {error}; run `mergeladder verify`") from error
    tasks = tuple(task.name for task in ladder.manifest.tasks)
    found = {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
    told = {spec.name: (np.dtype(np.float32), spec.shape) for spec in entry.tensors}
    if found != told or set(told) != {TOKENS, BIAS} or told[TOKENS][1][1:] != (len(tasks),):
        raise MergeLadderError(f"{path} does not hold the tensors that the manifest says; run `mergeladder verify`")
    return Router(tasks, tensors[TOKENS], tensors[BIAS])
