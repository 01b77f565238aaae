"""The contract of a head."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from serving.engine.heads.reading import Reading


@dataclass(frozen=True)
class Head:
    """How one task answers.

    `needs`: the task's own tensors that there must be.
    `reading`: what it reads of a sequence; None: every token, each by itself.
    `pooled`: whether what it reads first goes through the merged part of the family's pooler.
    `apply(tensors, features)` -> (rows, outputs), from the task's own tensors and (rows, features): a row is a
    sequence, or a token where every token is read.
    """

    needs: tuple[str, ...]
    reading: Reading | None
    pooled: bool
    apply: Callable[[Mapping[str, Tensor], Tensor], Tensor]

    @property
    def whole(self) -> bool:
        """Whether all tokens of a sequence have to leave the last layer."""
        return self.reading is None or self.reading.whole
