"""The engine as the runner of an evaluation: one engine that changes rung as the evaluation asks.

evaluate(ladder, rungs, data, engine_runner(ladder))
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deploy.image_rows import run_images
from deploy.word_rows import run_words
from merge_builder.errors import InputError
from merge_builder.evaluation import Row, Runner
from merge_builder.ladder import Ladder, RungSize, rung_at
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Dtype, Encoded

BATCH_TOKENS = 4096


def engine_runner(ladder: Ladder, device: str = "cpu", dtype: Dtype = "float32") -> Runner:
    """A runner over `ladder`: a rung, a task and its rows in; float32 logits of shape (rows, labels) out."""
    smallest = rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1)
    return runner_of(load_engine(ladder, smallest, device=device, dtype=dtype))


def runner_of(engine: Engine) -> Runner:
    """As `engine_runner`, of an engine that is loaded already."""
    ladder = engine.ladder

    def run(rung: RungSize, task: str, rows: Sequence[Row]) -> NDArray[np.float32]:
        if engine.rung.size != rung:
            engine.swap(rung_at(ladder.manifest, rung.index))
        if engine.modality == "image":
            return np.stack(run_images(engine, task, rows, BATCH_TOKENS))
        if any(row.words is not None for row in rows):
            return run_words(engine, task, rows, BATCH_TOKENS)
        if any(row.image is not None for row in rows):
            raise InputError(f"task {task!r} takes texts, and a row of its data is an image")
        texts, pairs = [row.text for row in rows], [row.text_pair for row in rows]
        tokens = engine.tokenizer.encode(texts, pairs, max_length=engine.max_length(task), truncate=True)
        inputs = [Encoded(item.input_ids, item.token_type_ids, (task,)) for item in tokens]
        order = sorted(range(len(inputs)), key=lambda i: inputs[i].length)  # attention runs equal lengths at once
        batches = _batches([inputs[i] for i in order])
        answers = np.stack([answer[task] for batch in batches for answer in engine.run(batch).logits])
        return answers[np.argsort(order)]

    return run


def _batches(inputs: Sequence[Encoded]) -> Iterator[list[Encoded]]:
    """The inputs in order, cut into batches of at most BATCH_TOKENS tokens (at least one input each)."""
    batch: list[Encoded] = []
    tokens = 0
    for item in inputs:
        if batch and tokens + item.length > BATCH_TOKENS:
            yield batch
            batch, tokens = [], 0
        batch.append(item)
        tokens += item.length
    if batch:
        yield batch
