"""A label for every word: that of its first token."""

from dataclasses import dataclass
from itertools import groupby

from serving.inputs import Text
from serving.result import Window
from serving.tokens.aligned import Token, tokens_of


@dataclass(frozen=True)
class LabelledWord:
    """The word of number `index`, at the characters from `start` to `end` of the text, and its most likely label."""

    index: int
    word: str
    label: str
    score: float
    start: int
    end: int


def label_words(window: Window, item: Text, labels: tuple[str, ...]) -> list[LabelledWord]:
    """The words that were read, in order. A word that stands for no token, such as of white space, is left out."""
    grouped = groupby(tokens_of(window, item), key=lambda token: token.word)
    return [_label(number, list(own), item, labels) for number, own in grouped]


def _label(number: int, tokens: list[Token], item: Text, labels: tuple[str, ...]) -> LabelledWord:
    best = int(tokens[0].scores.argmax())
    if item.words is None:
        start, end = tokens[0].start, tokens[-1].end
    else:  # whole, even where its last tokens were cut off
        start = sum(len(word) + 1 for word in item.words[:number])
        end = start + len(item.words[number])
    return LabelledWord(number, item.text[start:end], labels[best], float(tokens[0].scores[best]), start, end)
