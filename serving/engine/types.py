"""What goes into the engine and what comes out, as plain data."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from merge_builder.ladder import Rung

Logits = NDArray[np.float32]
Dtype = Literal["float32", "int8"]  # of the linear layers' weights


@dataclass(frozen=True)
class Encoded:
    """One tokenised input and the tasks asked of it; `truncated` counts the tokens that were cut off."""

    input_ids: tuple[int, ...]
    token_type_ids: tuple[int, ...]
    tasks: tuple[str, ...]
    truncated: int = 0


@dataclass(frozen=True)
class BatchOutput:
    """The answers to one batch, all computed by one rung.

    `logits[i][task]` is float32 of shape (labels of the task,) for input i. `tokens` counts the input tokens of the
    batch before fan-out; `layer_tokens` counts the tokens that entered encoder layers, summed over the layers, copies
    made by fan-out included (behind the last layer's attention only one token of a sequence goes on). `reconstruct_s`
    is how long the weights of masked versions took to make, in seconds; on a GPU, how long the host took to give that
    work out.
    """

    logits: tuple[dict[str, Logits], ...]
    rung: Rung
    tokens: int
    layer_tokens: int
    reconstruct_s: float = 0.0
