"""Answers to questions against transformers' own model, windowed and scored here a second time, from the rule."""

import random

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from serving.inputs import Text
from serving.tokens.spans import best_spans

QUESTION = "the ringing of ann"


def _context(words: int, seed: int) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choice(("Ann", "Lonton,", "the", "ringing", "of", "annlon.", "X2")) for _ in range(words))


@pytest.fixture(scope="module")
def theirs(exported):
    """`theirs(question, context, overlap, longest)`: every answer's score, by its characters, over all windows."""
    model = AutoModelForQuestionAnswering.from_pretrained(exported("find")).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported("find"))

    def ask(question: str, context: str, overlap: int, longest: int) -> dict[tuple[int, int], float]:
        windows = tokenizer(
            question,
            context,
            truncation="only_second",
            stride=overlap,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        answers: dict[tuple[int, int], float] = {}
        for number in range(len(windows["input_ids"])):
            ids, types = (torch.tensor([windows[key][number]]) for key in ("input_ids", "token_type_ids"))
            with torch.inference_mode():
                output = model(ids, token_type_ids=types)
            sequences, encoding = windows.sequence_ids(number), windows.encodings[number]
            own = [0, *(n for n, sequence in enumerate(sequences) if sequence == 1)]
            start, end = (torch.softmax(logits[0, own], 0) for logits in (output.start_logits, output.end_logits))
            for i, first in enumerate(own[1:], 1):
                for j in range(i, min(i + longest, len(own))):
                    words = [encoding.token_to_word(token) for token in (first, own[j])]
                    key = (encoding.word_to_chars(words[0], 1)[0], encoding.word_to_chars(words[1], 1)[1])
                    answers[key] = max(answers.get(key, 0.0), float(start[i] * end[j]))
        return answers

    return ask


@pytest.mark.parametrize(("words", "overlap"), [(3, 8), (30, 8), (60, 3), (60, 0), (60, 1000)])
def test_answers_are_the_best_spans_of_all_windows(windows, theirs, words: int, overlap: int) -> None:
    for seed in range(4):
        context = _context(words, seed)
        asked = windows("find", Text(QUESTION, context), overlap)
        assert (len(asked) > 1) == (words > 3)
        # 40 tokens hold the question's and three special ones
        room = 40 - sum(sequence == 0 for sequence in asked[0].aligned.sequence_ids) - 3
        expected = theirs(QUESTION, context, min(overlap, room - 1), 4)
        got = best_spans(asked, top_k=5, max_answer_len=4)
        best = sorted(expected.values(), reverse=True)[: len(got)]
        # Spans that are widened to the same words take places in a window's five
        assert got[0].score == pytest.approx(best[0], abs=1e-5)
        assert [span.score for span in got] == pytest.approx([expected[s.start, s.end] for s in got], abs=1e-5)
        assert len({(span.start, span.end) for span in got}) == len(got)


def test_an_answer_is_no_longer_than_asked_for(windows) -> None:
    asked = windows("find", Text(QUESTION, "ann of the ann of the"))
    spans = best_spans(asked, top_k=100, max_answer_len=1)
    assert sorted((span.start, span.end) for span in spans) == [(0, 3), (4, 6), (7, 10), (11, 14), (15, 17), (18, 21)]
    assert all(np.diff([span.score for span in spans]) <= 0)


def test_every_token_of_a_long_context_is_in_a_window(mixed) -> None:
    context = _context(60, 9)
    whole = mixed.tokenizer.plain.encode(context, add_special_tokens=False)
    found = mixed.tokenizer.windows(QUESTION, context, max_length=40, overlap=5)
    parts = []
    for window in found:
        assert len(window.input_ids) <= 40
        inside = [n for n, sequence in enumerate(window.aligned.sequence_ids) if sequence == 1]
        parts.append([window.aligned.offsets[n] for n in inside])
    assert parts[0] + [offset for part in parts[1:] for offset in part[5:]] == whole.offsets
