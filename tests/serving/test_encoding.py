"""Rows for the engine against transformers' own tokenizer of the base."""

import pytest
from transformers import AutoTokenizer

from merge_builder.ladder import Ladder
from serving.encoding import encode
from serving.engine.tokenize import Tokenizer, load_tokenizer
from serving.errors import EmptyText, InputTooLong, RequestError
from serving.inputs import Ids, Text

ALL = ("ant", "bee", "cat")
LENGTHS = {"ant": 40, "bee": 8, "cat": 40}
LONG = " ".join(f"w{n}" for n in range(20))


@pytest.fixture
def tokenizer(pico_ladder: Ladder) -> Tokenizer:
    return load_tokenizer(pico_ladder.base_dir)


def test_a_text_is_one_row_for_all_tasks_unless_a_task_cuts_it(tokenizer: Tokenizer, pico_ladder: Ladder) -> None:
    theirs = AutoTokenizer.from_pretrained(pico_ladder.base_dir)
    rows = encode(tokenizer, [Text("w1 w2"), Text(LONG), Text("w3", "w4 w5")], [ALL] * 3, LENGTHS, truncate=True)

    got = {(row.place, frozenset(row.encoded.tasks)): row.encoded for row in rows}
    short, whole = theirs("w1 w2"), theirs(LONG)
    cut, pair = theirs(LONG, truncation=True, max_length=8), theirs("w3", "w4 w5")
    assert {key: (list(e.input_ids), list(e.token_type_ids), e.truncated) for key, e in got.items()} == {
        (0, frozenset(LENGTHS)): (short["input_ids"], short["token_type_ids"], 0),
        (1, frozenset(("ant", "cat"))): (whole["input_ids"], whole["token_type_ids"], 0),
        (1, frozenset(("bee",))): (cut["input_ids"], cut["token_type_ids"], 22 - 8),
        (2, frozenset(LENGTHS)): (pair["input_ids"], pair["token_type_ids"], 0),
    }


def test_each_input_has_the_tasks_that_it_is_asked_for(tokenizer: Tokenizer) -> None:
    inputs, tasks = [Text(LONG), Ids((2, 7, 3)), Text("w1")], [("bee", "cat"), ("ant",), ("bee", "ant")]
    rows = encode(tokenizer, inputs, tasks, LENGTHS, truncate=True, first=10)

    got = sorted((row.place, len(row.encoded.input_ids), row.encoded.tasks) for row in rows)
    assert got == [(10, 8, ("bee",)), (10, 22, ("cat",)), (11, 3, ("ant",)), (12, 3, ("bee", "ant"))]
    with pytest.raises(InputTooLong, match=r"inputs\[11\] has 22 tokens and task 'bee'"):
        encode(tokenizer, [Text("w1"), Text(LONG)], [ALL, ("bee",)], LENGTHS, truncate=False, first=10)


def test_a_text_is_tokenised_once_for_each_distinct_length(tokenizer: Tokenizer) -> None:
    lengths = []

    class Counting:
        def encode(self, texts, pairs, *, max_length, **how):
            lengths.append(max_length)
            return tokenizer.encode(texts, pairs, max_length=max_length, **how)

    of = {f"task{n}": 40 if n % 2 else 8 for n in range(20)}
    encode(Counting(), [Text("w1"), Text(LONG)], [tuple(of)] * 2, of, truncate=True)

    assert sorted(lengths) == [8, 40]


def test_ids_are_taken_as_they_are(tokenizer: Tokenizer) -> None:
    [row] = encode(tokenizer, [Ids((2, 7, 9, 3))], [ALL], LENGTHS, truncate=True)

    assert row.encoded.input_ids == (2, 7, 9, 3)
    assert row.encoded.token_type_ids == (0, 0, 0, 0)
    assert row.encoded.tasks == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("item", "error", "told"),
    [
        (Text(" \n"), EmptyText, "inputs[1] has no text"),
        (Text(LONG), InputTooLong, "inputs[1] has 22 tokens and task 'bee' takes 8"),
        (Text("\ud800"), RequestError, "not valid Unicode"),
        (Ids(()), EmptyText, "inputs[1] has no token"),
        (Ids((5,) * 9), InputTooLong, "inputs[1] has 9 tokens and task 'bee' takes 8"),
    ],
)
def test_bad_inputs_are_named(tokenizer: Tokenizer, item: Text | Ids, error: type[RequestError], told: str) -> None:
    with pytest.raises(error) as caught:
        encode(tokenizer, [Text("w1"), item], [ALL] * 2, LENGTHS, truncate=False)

    assert told in str(caught.value)
    assert caught.value.param in ("inputs", "inputs[1]")


KINDS = {"ant": "token_classification", "cat": "question_answering"}


def test_kinds_that_read_the_same_tokens_share_a_row(tokenizer: Tokenizer) -> None:
    [row] = encode(tokenizer, [Text("w1 w2")], [("ant", "bee")], LENGTHS, truncate=True, kinds=KINDS)
    assert row.encoded.tasks == ("ant", "bee")
    assert row.aligned.offsets == [(0, 0), (0, 2), (3, 5), (0, 0)]

    [pair] = encode(tokenizer, [Text("w1", "w2 w3")], [("bee", "cat")], LENGTHS, truncate=True, kinds=KINDS)
    assert set(pair.encoded.tasks) == {"bee", "cat"}
    assert pair.aligned is not None


def test_windows_of_equal_tokens_stay_apart_and_in_order(tokenizer: Tokenizer) -> None:
    context = " ".join(["w2"] * 100)
    rows = encode(tokenizer, [Text("w1", context)], [("cat", "bee")], LENGTHS, truncate=True, kinds=KINDS, overlap=10)
    windows = [row for row in rows if "cat" in row.encoded.tasks]
    starts = [row.aligned.offsets[row.aligned.sequence_ids.index(1)][0] for row in windows]
    # 40 tokens hold [CLS] w1 [SEP], 36 of the context and [SEP]; each window begins 26 words after the one before
    assert starts == [3 * 26 * number for number in range(4)]
    assert [len(row.encoded.input_ids) for row in windows] == [40, 40, 40, 100 - 3 * 26 + 4]
    [cut] = [row for row in rows if "bee" in row.encoded.tasks]
    assert len(cut.encoded.input_ids) == LENGTHS["bee"]
