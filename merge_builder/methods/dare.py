"""DARE: drop a share of each task vector at random and rescale the rest, in front of any method.

Source: arXiv 2311.03099, `τ' = τ · keep / (1 - drop)`. Random numbers come from a counter (Philox keyed by seed, task
and tensor), so what is dropped depends on neither threads, order nor how a tensor is cut into chunks.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

# Philox makes four 64-bit words a step, and a word decides two elements.
ELEMENTS_A_STEP = 8


class Dare(BaseModel):
    """`dare: {drop: 0.9, seed: 0}` beside a method's own parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    drop: float = Field(default=0.9, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)


def sparsify(values: NDArray[np.float32], dare: Dare, task: str, tensor: str, start: int) -> None:
    """Apply DARE in place to the elements of `tensor` that begin at `start`, a multiple of `ELEMENTS_A_STEP`."""
    digest = hashlib.sha256(f"{dare.seed}\0{task}\0{tensor}".encode()).digest()
    generator = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    generator.advance(start // ELEMENTS_A_STEP)
    words = generator.random_raw(-(-len(values) // ELEMENTS_A_STEP) * (ELEMENTS_A_STEP // 2))
    draws = np.asarray(words, "<u8").view("<u4")[: len(values)]
    values *= (draws >= np.uint32(dare.drop * 2**32)) * np.float32(1 / (1 - dare.drop))
