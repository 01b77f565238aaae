"""Rows of questions through the engine, for an evaluation: answered as the server answers, from windows where long."""

from collections.abc import Sequence

import numpy as np

from deploy.batches import run_batches
from merge_builder.evaluation import Row
from serving.encoding import encode
from serving.engine.engine import Engine
from serving.engine.types import Encoded, Logits
from serving.inputs import Text
from serving.result import Window
from serving.tokens.spans import best_spans

MOST_TOKENS = 15  # of an answer, as the server has it where a request does not say


def run_questions(engine: Engine, task: str, rows: Sequence[Row], batch_tokens: int) -> Logits:
    """(rows, 2): the first character of the answer in its context, and one past its last."""
    items = [Text(row.text, row.text_pair) for row in rows]
    encoded = encode(
        engine.tokenizer,
        items,
        [(task,)] * len(items),
        {task: engine.max_length(task)},
        truncate=True,
        kinds={task: "question_answering"},
    )
    inputs = [row.encoded for row in encoded if isinstance(row.encoded, Encoded)]
    windows: list[list[Window]] = [[] for _ in rows]
    for row, logits in zip(encoded, run_batches(engine, task, inputs, batch_tokens), strict=True):
        windows[row.place].append(Window(logits, row.aligned, row.encoded.truncated))
    best = [best_spans(own, 1, MOST_TOKENS) for own in windows]
    # A context of characters that stand for no token holds no answer.
    return np.array([(found[0].start, found[0].end) if found else (0, 0) for found in best], np.float32)
