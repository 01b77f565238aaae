import pytest

from merge_builder.evaluation.entities import entities_of, entity_f1, has_entities


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("O O", set()),
        ("B-PER I-PER O B-PER", {(0, 2, "PER"), (3, 4, "PER")}),
        ("B-PER B-PER", {(0, 1, "PER"), (1, 2, "PER")}),
        ("I-PER I-LOC", {(0, 1, "PER"), (1, 2, "LOC")}),
        ("B-PER O I-PER", {(0, 1, "PER"), (2, 3, "PER")}),
        ("MISC MISC B-MISC", {(0, 2, "MISC"), (2, 3, "MISC")}),
    ],
)
def test_entities_of_labels(labels: str, expected: set) -> None:
    assert entities_of(labels.split()) == expected


def test_an_entity_is_right_as_a_whole() -> None:
    true = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "O"]]
    predicted = [["B-PER", "O", "O"], ["B-LOC", "O", "B-PER"]]
    f1, (low, high) = entity_f1(predicted, true)
    assert f1 == pytest.approx(2 * 1 / (3 + 2))  # one of three predicted, of two true ones
    assert low < f1 < high
    assert entity_f1(true, true) == (1.0, (1.0, 1.0))


def test_labels_that_tell_no_entities() -> None:
    assert has_entities(("O", "B-PER"))
    assert not has_entities(("NOUN", "VERB"))
