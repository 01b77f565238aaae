"""Entities of labelled words, and their F1 as CoNLL counts it: an entity is right if its words and its tag are.

`B-` begins an entity; any other label of the same tag goes on with the one before, or begins one where there is none.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from merge_builder.evaluation.bootstrap import RESAMPLES, Interval, interval

Entity = tuple[int, int, str]  # first word, one past the last, tag
OUTSIDE = "O"


def has_entities(labels: Iterable[str]) -> bool:
    """Whether labels of a task tell where entities begin."""
    return any(label.startswith("B-") for label in labels)


def entities_of(labels: Sequence[str]) -> set[Entity]:
    """The entities in one sentence's labels."""
    found: list[Entity] = []
    before = OUTSIDE
    for place, label in enumerate(labels):
        tag = label[2:] if label.startswith(("B-", "I-")) else label
        if label != OUTSIDE and tag == before and not label.startswith("B-"):
            found[-1] = (found[-1][0], place + 1, tag)
        elif label != OUTSIDE:
            found.append((place, place + 1, tag))
        before = OUTSIDE if label == OUTSIDE else tag
    return set(found)


def entity_f1(predicted: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> tuple[float, Interval]:
    """The F1 over all sentences' entities, and its interval over resampled sentences."""
    pairs = [(entities_of(p), entities_of(t)) for p, t in zip(predicted, true, strict=True)]
    counts = np.array([(len(p & t), len(p) + len(t)) for p, t in pairs], np.int64)
    chance = np.random.default_rng(0)
    drawn = chance.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)
    return float(_f1(counts.sum(axis=0))), interval(_f1(drawn @ counts))


def _f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """From (..., 2): the entities that are right, and those predicted and true together."""
    return np.asarray(2 * counts[..., 0] / np.maximum(counts[..., 1], 1), np.float64)
