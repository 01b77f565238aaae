"""Splits: the same each time, of the sizes asked for, and nothing of one side in another."""

import random
from collections import Counter

from deploy.demo.splits import MAX_CHARACTERS, Sizes, split
from merge_builder.evaluation import Row

SIZES = Sizes(train=200, validation=40, test=40, least_per_label=10)


def _rows(count: int, label: str, seed: int) -> list[Row]:
    rng = random.Random(seed)
    return [Row(text=" ".join(f"w{rng.randrange(5000)}" for _ in range(8)), label=label) for _ in range(count)]


def _sides(rows: list[Row]) -> list[list[Row]]:
    splits = split(rows, SIZES)
    return [splits.train, splits.validation, splits.test]


def test_the_same_rows_in_any_order_give_the_same_splits() -> None:
    rows = _rows(200, "a", 1) + _rows(150, "b", 2)
    shuffled = random.Random(9).sample(rows, len(rows))
    assert split(rows, SIZES) == split(shuffled, SIZES)


def test_the_sizes_are_kept_and_no_row_is_on_two_sides() -> None:
    sides = _sides(_rows(200, "a", 1) + _rows(150, "b", 2))
    assert [len(side) for side in sides] == [200, 40, 40]
    assert len({row for side in sides for row in side}) == 280


def test_near_duplicates_stay_on_one_side() -> None:
    rows = _rows(120, "a", 1) + _rows(120, "b", 2)
    twins = [Row(text=f"{row.text.upper()} .", label=row.label) for row in rows]
    near = [Row(text=f"{row.text} extra", label=row.label) for row in rows]
    where: dict[str, set[int]] = {}
    for side, members in enumerate(_sides(rows + twins + near)):
        for row in members:
            key = row.text.lower().removesuffix(" extra").removesuffix(" .")
            where.setdefault(key, set()).add(side)
    assert {side for sides in where.values() for side in sides} == {0, 1, 2}
    assert all(len(sides) == 1 for sides in where.values())


def test_pairs_are_split_by_their_first_text() -> None:
    questions = [row.text for row in _rows(60, "-", 4)]
    contexts = [row.text for row in _rows(180, "-", 5)]
    rows = [Row(text=questions[i % 60], text_pair=context, label="ab"[i % 2]) for i, context in enumerate(contexts)]
    train, validation, test = ({row.text for row in side} for side in _sides(rows))
    assert train
    assert validation
    assert test
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)


def test_texts_of_two_labels_and_empty_texts_and_rare_labels_are_left_out() -> None:
    rows = _rows(100, "a", 1) + _rows(100, "b", 2) + _rows(9, "rare", 3)
    torn = rows[0]
    rows += [Row(text=torn.text, label="b"), Row(text="  ", label="a")]
    kept = [row for side in _sides(rows) for row in side]
    assert {row.label for row in kept} == {"a", "b"}
    assert torn.text not in {row.text for row in kept}
    assert all(row.text.strip() for row in kept)


def test_a_frequent_label_is_held_to_twice_its_even_share() -> None:
    rows = _rows(2000, "often", 1) + [row for seed, label in enumerate("bcd") for row in _rows(60, label, seed + 2)]
    counts = Counter(row.label for side in _sides(rows) for row in side)
    assert counts["often"] <= 2 * SIZES.all // 4
    assert min(counts[label] for label in "bcd") > 30


def test_texts_are_cut() -> None:
    rows = [Row(text=f"{row.text} {'x' * 700}", label="a") for row in _rows(100, "a", 1)]
    assert all(len(row.text) == MAX_CHARACTERS for side in _sides(rows) for row in side)
