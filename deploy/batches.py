"""Texts through the engine in batches, for an evaluation."""

from collections.abc import Sequence

from serving.engine.engine import Engine
from serving.engine.types import Encoded, Logits


def run_batches(engine: Engine, task: str, inputs: Sequence[Encoded], batch_tokens: int) -> list[Logits]:
    """What `task` makes of each input, in their order; a batch has at most `batch_tokens` tokens, or one input."""
    order = sorted(range(len(inputs)), key=lambda i: inputs[i].length)  # attention runs equal lengths at once
    answers: dict[int, Logits] = {}
    batch: list[int] = []
    tokens = 0
    for place in order:
        if batch and tokens + inputs[place].length > batch_tokens:
            answers |= _run(engine, task, inputs, batch)
            batch, tokens = [], 0
        batch.append(place)
        tokens += inputs[place].length
    answers |= _run(engine, task, inputs, batch)
    return [answers[place] for place in range(len(inputs))]


def _run(engine: Engine, task: str, inputs: Sequence[Encoded], batch: Sequence[int]) -> dict[int, Logits]:
    found = engine.run([inputs[place] for place in batch]).logits
    return {place: answer[task] for place, answer in zip(batch, found, strict=True)}
