"""The tokens of a text that stand for some of its characters, each with the task's scores."""

from dataclasses import dataclass

import numpy as np

from serving.engine.types import Logits
from serving.inputs import Text
from serving.result import Window
from serving.scores import softmax


@dataclass(frozen=True)
class Token:
    """A token: its `index` among all, special ones included, its characters from `start` to `end`, and its `scores`.

    `word` is the number of the word that it belongs to: of those that the client sent, or else as the tokenizer cuts.
    """

    index: int
    piece: str
    id: int
    start: int
    end: int
    word: int
    scores: Logits


def tokens_of(window: Window, item: Text) -> list[Token]:
    """The tokens of a window over one text, in order, with probabilities of shape (labels,)."""
    aligned, scores = window.aligned, softmax(window.logits)
    assert aligned is not None, "a text was asked for with its alignment"
    words = aligned.word_ids if item.words is None else _words_at(aligned.offsets, item.words)
    rows = zip(aligned.tokens, aligned.ids, aligned.offsets, words, aligned.special_tokens_mask, strict=True)
    return [
        Token(index, piece, number, start, end, -1 if word is None else word, scores[index])
        for index, (piece, number, (start, end), word, special) in enumerate(rows)
        if not special
    ]


def _words_at(offsets: list[tuple[int, int]], words: tuple[str, ...]) -> list[int]:
    """For each token the number of the word that its last character is in."""
    ends = np.cumsum([len(word) + 1 for word in words])
    last = np.array([max(end - 1, 0) for _, end in offsets])
    found: list[int] = np.searchsorted(ends, last, side="right").tolist()
    return found
