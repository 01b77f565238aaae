"""What goes into the engine and what comes out, as plain data."""

from dataclasses import dataclass
from typing import ClassVar, Literal

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

    @property
    def length(self) -> int:
        """Its tokens in the engine."""
        return len(self.input_ids)


@dataclass(frozen=True, eq=False)
class Image:
    """One preprocessed image, float32 of shape (channels, height, width), and the tasks asked of it.

    `length` counts its tokens in the engine, as `Engine.image_tokens` tells.
    """

    pixels: NDArray[np.float32]
    tasks: tuple[str, ...]
    length: int
    truncated: ClassVar[int] = 0


Input = Encoded | Image


@dataclass(frozen=True)
class BatchOutput:
    """The answers to one batch, all computed by one rung.

    `logits[i][task]` is what the task's head makes of input i, float32: of shape (labels,) where it reads the sequence,
    (tokens, labels) where it reads every token. `tokens` counts the input tokens of the batch before fan-out;
    `layer_tokens` counts the tokens that entered encoder layers, summed over the layers, copies made by fan-out
    included (behind the last layer's attention go on only those that the heads read). `reconstruct_s` is how long the
    weights of masked versions took to make, in seconds; on a GPU, how long the host took to give that work out.
    """

    logits: tuple[dict[str, Logits], ...]
    rung: Rung
    tokens: int
    layer_tokens: int
    reconstruct_s: float = 0.0
