"""Clipping against transformers' own truncation of the whole text."""

import random
import time
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from serving.clipping import clip
from serving.encoding import encode
from serving.engine.tokenize import load_tokenizer
from serving.inputs import Text

WORDS = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##a", "##b", "!", "é", "影"])}
ROOM = 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A word piece tokenizer, as BERT's: words of more than 100 letters are unknown, control characters vanish."""
    tokenizer = Tokenizer(models.WordPiece(WORDS, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(tmp_path)
    return tmp_path


def texts() -> list[str]:
    """Long texts of every kind of piece, and pieces that straddle each place where a start of 144 characters grows."""
    dice = random.Random(0)
    pieces = ["a ", "abab ", "ba" * 60 + " ", " " * 300, "\x07" * 300, "影", "!", "[SEP]", "e\u0301", "a" * 700 + " "]
    mixed = ["".join(dice.choices(pieces, k=dice.randrange(20, 60))) for _ in range(12)]
    straddling = [
        filler * (place // len(filler)) + piece + "b a" * 20
        for filler in ("a ", "影", "  ")
        for place in (144, 576)
        for piece in pieces
    ]
    return mixed + straddling


def test_what_truncation_leaves_is_the_same(folder: Path) -> None:
    theirs, tokenizer = AutoTokenizer.from_pretrained(folder), load_tokenizer(folder)
    clipped = 0
    for text in texts():
        for pair in (None, "a b"):
            [row] = encode(tokenizer, [Text(text, pair)], [("ant",)], {"ant": ROOM}, truncate=True)
            assert list(row.encoded.input_ids) == theirs(text, pair, truncation=True, max_length=ROOM)["input_ids"]
            clipped += clip(tokenizer, text, ROOM) != text

    assert clipped > 20


def test_a_tokenizer_that_keeps_the_end_gets_the_whole_text(folder: Path) -> None:
    AutoTokenizer.from_pretrained(folder, truncation_side="left").save_pretrained(folder)

    assert clip(load_tokenizer(folder), "a " * 500, ROOM) == "a " * 500


@pytest.mark.parametrize("piece", ["ab a ", "影", "!a"])
def test_a_million_characters_are_hardly_looked_at(folder: Path, piece: str) -> None:
    tokenizer, text = load_tokenizer(folder), piece * (1_000_000 // len(piece))
    started = time.process_time()
    [row] = encode(tokenizer, [Text(text, text)], [("ant",)], {"ant": 128}, truncate=True)

    assert time.process_time() - started < 0.5
    assert len(row.encoded.input_ids) == 128
    assert row.encoded.truncated > 0
