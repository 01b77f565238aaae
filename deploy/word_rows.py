"""Rows of labelled words through the engine, for an evaluation: a word counts by its first token."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from deploy.batches import run_batches
from merge_builder.evaluation import Row
from serving.encoding import encode
from serving.engine.engine import Engine
from serving.engine.types import Encoded, Logits
from serving.inputs import Text
from serving.result import Window
from serving.tokens.aligned import tokens_of


def run_words(engine: Engine, task: str, rows: Sequence[Row], batch_tokens: int) -> Logits:
    """(words of all rows, labels); NaN for words that no token stands for, such as those of a text's cut end."""
    items = [Text(" ".join(row.words or ()), words=row.words) for row in rows]
    lengths = {task: engine.max_length(task)}
    encoded = encode(
        engine.tokenizer, items, [(task,)] * len(items), lengths, truncate=True, kinds={task: "token_classification"}
    )
    inputs = [row.encoded for row in encoded if isinstance(row.encoded, Encoded)]
    answers = run_batches(engine, task, inputs, batch_tokens)
    read = {
        row.place: Window(logits, row.aligned, row.encoded.truncated)
        for row, logits in zip(encoded, answers, strict=True)
    }
    return np.concatenate([_words(read[place], item) for place, item in enumerate(items)])


def _words(window: Window, item: Text) -> Logits:
    words = np.full((len(item.words or ()), window.logits.shape[1]), np.nan, np.float32)
    for number, tokens in groupby(tokens_of(window, item), key=lambda token: token.word):
        words[number] = window.logits[next(tokens).index]
    return words
