"""Entities against transformers' own pipeline on the exported model."""

import random

import pytest
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from serving.inputs import Text
from serving.tokens.entities import entities
from serving.tokens.words import label_words

WORDS = ("Ann", "Lonton,", "the", "ringing", "7", "of", "annlon.", "X2", "Thedon")


def _texts(count: int) -> list[list[str]]:
    chance = random.Random(0)
    return [[chance.choice(WORDS) for _ in range(chance.randint(1, 9))] for _ in range(count)]


@pytest.fixture(scope="module")
def theirs(exported):
    model = AutoModelForTokenClassification.from_pretrained(exported("names"))
    return pipeline("token-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(exported("names")))


@pytest.mark.parametrize("split", [False, True], ids=["text", "words"])
@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_entities_are_those_of_transformers_pipeline(mixed, windows, theirs, strategy: str, split: bool) -> None:
    [task] = [task for task in mixed.ladder.manifest.tasks if task.name == "names"]
    found = set()
    for words in _texts(40):
        item = Text(" ".join(words), words=tuple(words) if split else None)
        [window] = windows("names", item)
        ours = entities(window, item, task.labels, strategy, mixed.tokenizer)
        if split:
            [expected] = theirs([words], aggregation_strategy=strategy, is_split_into_words=True)
        else:
            expected = theirs(item.text, aggregation_strategy=strategy)
        key = "entity" if strategy == "none" else "entity_group"
        assert [(e.label, e.word, e.start, e.end) for e in ours] == [
            (e[key], e["word"], e["start"], e["end"]) for e in expected
        ]
        assert [e.score for e in ours] == pytest.approx([e["score"] for e in expected], abs=1e-5)
        if strategy == "none":
            assert [e.index for e in ours] == [e["index"] for e in expected]
        found |= {e.label for e in ours}
    assert len(found) >= 3  # several tags occur, so the rules were put to work


def test_a_word_has_the_label_of_its_first_token(mixed, windows, theirs) -> None:
    labels = next(task.labels for task in mixed.ladder.manifest.tasks if task.name == "names")
    for words in _texts(20):
        item = Text(" ".join(words), words=tuple(words))
        [window] = windows("names", item)
        got = label_words(window, item, labels)
        [raw] = theirs([words], aggregation_strategy="none", is_split_into_words=True, ignore_labels=[])
        start, expected = 0, []
        for word in words:
            first = next(token for token in raw if token["start"] == start)
            expected.append((word, first["entity"], start, start + len(word)))
            start += len(word) + 1
        assert [(w.word, w.label, w.start, w.end) for w in got] == expected
        assert [w.index for w in got] == list(range(len(words)))


def test_a_text_is_cut_into_words_as_its_tokenizer_does(windows) -> None:
    item = Text("  Ann,  ringing X2")
    [window] = windows("names", item)
    words = label_words(window, item, ("",) * 6)
    assert [(word.word, word.start, word.end) for word in words] == [
        ("Ann", 2, 5),
        (",", 5, 6),
        ("ringing", 8, 15),
        ("X2", 16, 18),
    ]


def test_what_was_cut_off_has_no_label_and_a_word_cut_in_two_is_told_whole(windows) -> None:
    words = ("qqqqqqqqqq",) * 5
    item = Text(" ".join(words), words=words)
    [window] = windows("names", item)  # 40 tokens, 38 of the text
    got = label_words(window, item, ("",) * 6)
    assert [word.word for word in got] == ["qqqqqqqqqq"] * 4
    assert window.truncated == 52 - 40


def test_a_word_that_has_no_token_is_left_out(windows) -> None:
    words = ("Ann", "\u200b", "the")
    item = Text(" ".join(words), words=words)
    [window] = windows("names", item)
    assert [(word.index, word.word) for word in label_words(window, item, ("",) * 6)] == [(0, "Ann"), (2, "the")]
