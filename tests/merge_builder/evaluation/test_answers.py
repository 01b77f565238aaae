"""Against what SQuAD's own rules give, worked out by hand."""

import pytest

from merge_builder.evaluation.answers import exact_match, overlap


@pytest.mark.parametrize(
    ("predicted", "answers", "exact", "f1"),
    [
        ("Denver Broncos", ["Denver Broncos"], True, 1),
        ("the  Denver broncos.", ["Denver Broncos"], True, 1),
        ("Broncos", ["the Denver Broncos", "Carolina Panthers"], False, 2 / 3),
        ("the Carolina Panthers won", ["Denver Broncos", "Carolina Panthers"], False, 4 / 5),
        ("to be or not to be", ["not to be"], False, 2 * 3 / 9),  # `to` and `be` count once where the answer has one
        ("be be be", ["be"], False, 2 / 4),
        ("theatre", ["atre"], False, 0),  # an article is a word of its own
        ("it's 5,000", ["its 5000"], True, 1),
        ("", ["Denver"], False, 0),
        ("the", ["a"], True, 1),
    ],
)
def test_an_answer_counts_by_the_best_of_the_right_ones(predicted: str, answers: list, exact: bool, f1: float) -> None:
    assert (exact_match(predicted, answers), overlap(predicted, answers)) == (exact, pytest.approx(f1))
