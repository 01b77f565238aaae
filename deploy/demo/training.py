"""How one expert is trained: the settings that decide its weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Training:
    """Optimiser steps of `batch_size` rows, each row cut at `max_length` tokens, and AdamW's peak learning rates."""

    steps: int
    batch_size: int = 32
    max_length: int = 64
    encoder_rate: float = 1e-4  # of the encoder with its pooler
    head_rate: float = 2e-3  # of the classifier, which starts at random
    freeze_embeddings: bool = True
    seed: int = 0
