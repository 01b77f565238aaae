"""Ladders with scores by hand: which rows each rung gets right."""

from collections.abc import Callable

import numpy as np
import pytest

from merge_builder.evaluation import write_scores
from merge_builder.evaluation.bitmap import pack
from merge_builder.ladder import Ladder
from merge_builder.ladder.additions import Score

ROWS = 40
MakeScored = Callable[..., Ladder]


@pytest.fixture
def make_scored(make_ladder: Callable[..., Ladder]) -> MakeScored:
    """`make_scored("name", {rung: (right rows of 40 in a, b, c)}, **recipe_keys)`; rung 0 gets (40, 30, 20)."""

    def make(name: str, right: dict[int, tuple[int, int, int]], digest: str = "0" * 64, **keys: object) -> Ladder:
        ladder = make_ladder(name, **keys)
        scores = [
            _score(rung, task, count, digest)
            for rung, counts in {0: (40, 30, 20), **right}.items()
            for task, count in zip("abc", counts, strict=True)
        ]
        return write_scores(ladder, scores)

    return make


def _score(rung: int, task: str, count: int, digest: str) -> Score:
    right = np.arange(ROWS) < count
    share = count / ROWS
    return Score(
        rung=rung,
        task=task,
        rows=ROWS,
        data_sha256=digest,
        accuracy=share,
        interval=(share - 0.01, share + 0.01),
        macro_f1=share / 2,
        macro_f1_interval=(share / 2 - 0.01, share / 2 + 0.01),
        right=pack(right),
    )
