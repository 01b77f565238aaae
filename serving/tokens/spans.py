"""The answer to a question as a span of its context, scored as transformers' question answering does.

Of each window, the tokens of the context and the first of all (which stands for "no answer") share the probability of
being the answer's start, and of being its end; a span's score is the product. Spans are widened to whole words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import tokenizers
from numpy.typing import NDArray

from serving.engine.types import Logits
from serving.result import Window
from serving.scores import softmax


@dataclass(frozen=True)
class Span:
    """Characters of the context, from `start` to `end`, and how likely they are the answer."""

    start: int
    end: int
    score: float


def best_spans(windows: Sequence[Window], top_k: int, max_answer_len: int) -> list[Span]:
    """The best answers over all windows of one context, each once, the best first; at most `max_answer_len` tokens."""
    best: dict[tuple[int, int], Span] = {}
    for window in windows:
        for span in _spans(window, top_k, max_answer_len):
            key = (span.start, span.end)
            if key not in best or span.score > best[key].score:
                best[key] = span
    return sorted(best.values(), key=lambda span: -span.score)[:top_k]


def _spans(window: Window, top_k: int, max_answer_len: int) -> Iterator[Span]:
    aligned = window.aligned
    assert aligned is not None, "a context was asked for with its alignment"
    inside = np.array([sequence == 1 for sequence in aligned.sequence_ids])
    if not inside.any():
        return
    shown = inside.copy()
    shown[0] = inside[0] or aligned.special_tokens_mask[0]
    start, end = (_probabilities(window.logits[:, column], inside, shown) for column in (0, 1))
    # scores[d, i]: of the span from token i to i + d
    longest = min(max_answer_len, len(start))
    scores = np.zeros((longest, len(start)), np.float32)
    for more in range(longest):
        scores[more, : len(start) - more] = start[: len(start) - more] * end[more:]
    count = min(top_k, int((scores > 0).sum()))
    words = _words(aligned, inside)
    for best in np.argpartition(-scores, count - 1, axis=None)[:count].tolist():
        more, first = divmod(best, len(start))
        yield Span(words[first][0], words[first + more][1], float(scores[more, first]))


def _probabilities(logits: Logits, inside: NDArray[np.bool_], shown: NDArray[np.bool_]) -> Logits:
    """(tokens,); those that are `shown` share them, and what falls to any but those `inside` is 0."""
    scores = softmax(np.where(shown, logits, -np.inf))
    return np.where(inside, scores, np.float32(0))


def _words(aligned: tokenizers.Encoding, inside: NDArray[np.bool_]) -> dict[int, tuple[int, int]]:
    """By token of the context, the characters of the word that it is of."""
    words, offsets = aligned.word_ids, aligned.offsets
    grouped = groupby(np.flatnonzero(inside).tolist(), key=words.__getitem__)
    spans: dict[int, tuple[int, int]] = {}
    for _, own in grouped:
        tokens = list(own)
        spans |= dict.fromkeys(tokens, (offsets[tokens[0]][0], offsets[tokens[-1]][1]))
    return spans
