import base64

import numpy as np
import pytest

from merge_builder.errors import MergeLadderError
from merge_builder.evaluation.bitmap import pack, unpack


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 1000])
def test_what_is_packed_comes_back(rows: int) -> None:
    right = np.random.default_rng(rows).random(rows) < 0.6
    assert (unpack(pack(right), rows) == right).all()
    assert len(base64.b64decode(pack(right))) == (rows + 7) // 8


def test_the_first_row_is_the_highest_bit() -> None:
    assert base64.b64decode(pack(np.array([True] + [False] * 8))) == b"\x80\x00"


@pytest.mark.parametrize(("text", "rows"), [("gAA=", 17), ("gAA=", 8), ("/w==", 7), ("?", 1), ("gA", 1)])
def test_a_bitmap_of_another_length_is_refused(text: str, rows: int) -> None:
    with pytest.raises(MergeLadderError, match="evaluate the ladder again"):
        unpack(text, rows)
