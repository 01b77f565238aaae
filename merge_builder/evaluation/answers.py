"""Scores of an answer to a question as SQuAD counts them (arXiv:1606.05250, section 6.1), against all right answers."""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(answer: str) -> str:
    """In lower case, without punctuation (of ASCII) and English articles, one space between words."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(predicted: str, answers: Sequence[str]) -> bool:
    """Whether `predicted` is one of the right `answers`, both normalised."""
    return normalise(predicted) in map(normalise, answers)


def overlap(predicted: str, answers: Sequence[str]) -> float:
    """The F1 of the words that `predicted` shares with a right answer: of the answer with which it is greatest."""
    return max(_f1(normalise(predicted).split(), normalise(answer).split()) for answer in answers)


def _f1(predicted: Sequence[str], answer: Sequence[str]) -> float:
    if not predicted or not answer:  # nothing but articles and punctuation
        return float(predicted == answer)
    return 2 * (Counter(predicted) & Counter(answer)).total() / (len(predicted) + len(answer))
