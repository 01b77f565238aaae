"""Scores by hand: which rows each rung gets right."""

from collections.abc import Callable

import numpy as np
import pytest

from merge_builder.evaluation.bitmap import pack
from merge_builder.ladder.additions import Score


@pytest.fixture
def make_score() -> Callable[..., Score]:
    """`make_score(rung, task, "110")`: the first two of three rows right."""

    def make(rung: int, task: str, rows: str, digest: str = "0" * 64) -> Score:
        right = np.array([row == "1" for row in rows])
        share = float(right.mean())
        return Score(
            rung=rung,
            task=task,
            rows=len(rows),
            data_sha256=digest,
            accuracy=share,
            interval=(0.0, 1.0),
            macro_f1=share,
            macro_f1_interval=(0.0, 1.0),
            right=pack(right),
        )

    return make
