"""Tokens into entities, by the rules and the names of transformers' `TokenClassificationPipeline`.

Neighbours of one tag are an entity; `B-` begins a new one, whatever has no `B-` goes on with the one before. The label
`O` is no entity. The strategies tell how tokens agree on the label of their word first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from serving.engine.tokenize import Tokenizer
from serving.engine.types import Logits
from serving.inputs import Text
from serving.result import Window
from serving.strategy import Strategy
from serving.tokens.aligned import Token, tokens_of

OUTSIDE = "O"


@dataclass(frozen=True)
class Piece:
    """Characters from `start` to `end` with their label; `index` is that of the token where it is a single one."""

    label: str
    score: float
    word: str
    start: int
    end: int
    index: int


def entities(
    window: Window, item: Text, labels: tuple[str, ...], strategy: Strategy, tokenizer: Tokenizer
) -> list[Piece]:
    """The entities of a text in order: of the strategy "none" its tokens with a label, each by itself."""
    tokens = tokens_of(window, item)
    words: Iterable[list[Token]] = [[token] for token in tokens]
    if strategy in ("first", "average", "max"):
        words = _words(tokens, item.text, tokenizer)
    pieces = [_piece(own, item.text, labels, strategy, tokenizer) for own in words]
    if strategy != "none":
        pieces = [_joined(own, tokenizer) for own in _groups(pieces)]
    return [piece for piece in pieces if piece.label != OUTSIDE]


def _words(tokens: Sequence[Token], text: str, tokenizer: Tokenizer) -> list[list[Token]]:
    words: list[list[Token]] = []
    for token in tokens:
        if words and _goes_on(token, text, tokenizer):
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _goes_on(token: Token, text: str, tokenizer: Tokenizer) -> bool:
    """Whether a token goes on with the word before. One of an unknown word never does."""
    if token.id == tokenizer.unknown:
        return False
    if tokenizer.marks_continuation:
        return len(token.piece) != token.end - token.start
    return token.start > 0 and " " not in text[token.start - 1 : token.start + 1]


def _piece(
    tokens: Sequence[Token], text: str, labels: tuple[str, ...], strategy: Strategy, tokenizer: Tokenizer
) -> Piece:
    scores = _agreed([token.scores for token in tokens], strategy)
    pieces = [text[t.start : t.end] if t.id == tokenizer.unknown else t.piece for t in tokens]
    word = tokenizer.join(pieces) if strategy in ("first", "average", "max") else pieces[0]
    best = int(scores.argmax())
    return Piece(labels[best], float(scores[best]), word, tokens[0].start, tokens[-1].end, tokens[0].index)


def _agreed(scores: Sequence[Logits], strategy: Strategy) -> Logits:
    if strategy == "average":
        return np.asarray(np.mean(scores, axis=0), np.float32)
    return max(scores, key=np.max) if strategy == "max" else scores[0]


def _groups(pieces: Sequence[Piece]) -> list[list[Piece]]:
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and not piece.label.startswith("B-") and _tag(piece) == _tag(groups[-1][-1]):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _tag(piece: Piece) -> str:
    return piece.label[2:] if piece.label.startswith(("B-", "I-")) else piece.label


def _joined(pieces: Sequence[Piece], tokenizer: Tokenizer) -> Piece:
    return Piece(
        label=pieces[0].label.split("-", 1)[-1],
        score=float(np.mean([piece.score for piece in pieces])),
        word=tokenizer.join([piece.word for piece in pieces]),
        start=pieces[0].start,
        end=pieces[-1].end,
        index=pieces[0].index,
    )
