"""Against scipy, on rows that are written out as often as they were drawn."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from merge_builder.errors import MergeLadderError
from merge_builder.evaluation import ranks
from merge_builder.evaluation.ranks import pack_pairs, spearman, spearman_of_draws, unpack_pairs

RNG = np.random.default_rng(0)
TIED = np.stack([RNG.integers(0, 5, 60), RNG.integers(0, 9, 60)], axis=1).astype(np.float32)
DISTINCT = RNG.normal(size=(60, 2)).astype(np.float32)


@pytest.mark.parametrize("pairs", [TIED, DISTINCT], ids=["tied", "distinct"])
def test_correlations_are_those_of_the_rows_drawn(pairs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "_AT_ONCE", 60 * 3)  # several parts
    draws = RNG.multinomial(60, np.full(60, 1 / 60), 8)
    written_out = [np.repeat(pairs, counts, axis=0) for counts in draws]
    assert spearman_of_draws(pairs, draws) == pytest.approx([spearmanr(rows).statistic for rows in written_out])
    assert spearman(pairs) == pytest.approx(spearmanr(pairs).statistic)


def test_a_column_of_one_value_is_in_no_order() -> None:
    assert spearman(np.array([[1, 2], [1, 3]], np.float32)) == 0


def test_pairs_come_back_and_others_are_refused() -> None:
    np.testing.assert_array_equal(unpack_pairs(pack_pairs(DISTINCT), 60), DISTINCT)
    for text, rows in ((pack_pairs(DISTINCT), 59), ("?", 1), ("abc", 1)):
        with pytest.raises(MergeLadderError, match="evaluate the ladder again"):
            unpack_pairs(text, rows)
