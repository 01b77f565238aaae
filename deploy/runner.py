"""The engine as the runner of an evaluation: one engine that changes rung as the evaluation asks.

evaluate(ladder, rungs, data, engine_runner(ladder))
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deploy.batches import run_batches
from deploy.image_rows import run_images
from deploy.question_rows import run_questions
from deploy.word_rows import run_words
from merge_builder.errors import InputError
from merge_builder.evaluation import Row, Runner
from merge_builder.ladder import Ladder, RungSize, kind_of, rung_at
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Dtype, Encoded, Logits

BATCH_TOKENS = 4096


def engine_runner(ladder: Ladder, device: str = "cpu", dtype: Dtype = "float32") -> Runner:
    """A runner over `ladder`: a rung, a task and its rows in; out what `evaluation.Runner` tells of its kind."""
    smallest = rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1)
    return runner_of(load_engine(ladder, smallest, device=device, dtype=dtype))


def runner_of(engine: Engine) -> Runner:
    """As `engine_runner`, of an engine that is loaded already."""
    ladder = engine.ladder
    kinds = {task.name: kind_of(task) for task in ladder.manifest.tasks}

    def run(rung: RungSize, task: str, rows: Sequence[Row]) -> NDArray[np.float32]:
        if engine.rung.size != rung:
            engine.swap(rung_at(ladder.manifest, rung.index))
        if engine.modality == "image":
            return np.stack(run_images(engine, task, rows, BATCH_TOKENS))
        if any(row.image is not None for row in rows):
            raise InputError(f"task {task!r} takes texts, and a row of its data is an image")
        match kinds[task]:
            case "token_classification":
                return run_words(engine, task, rows, BATCH_TOKENS)
            case "question_answering":
                return run_questions(engine, task, rows, BATCH_TOKENS)
            case "embedding":
                first = _run_texts(engine, task, [row.text for row in rows], [None] * len(rows))
                second = _run_texts(engine, task, [row.text_pair or "" for row in rows], [None] * len(rows))
                return np.stack([first, second], axis=1)
            case "classification":
                return _run_texts(engine, task, [row.text for row in rows], [row.text_pair for row in rows])

    return run


def _run_texts(engine: Engine, task: str, texts: Sequence[str], pairs: Sequence[str | None]) -> Logits:
    tokens = engine.tokenizer.encode(texts, pairs, max_length=engine.max_length(task), truncate=True)
    inputs = [Encoded(item.input_ids, item.token_type_ids, (task,)) for item in tokens]
    return np.stack(run_batches(engine, task, inputs, BATCH_TOKENS))
