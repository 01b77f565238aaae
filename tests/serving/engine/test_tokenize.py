import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from merge_builder.errors import InputError
from serving.engine.tokenize import TextTooLong, Tokenizer, load_tokenizer

LONG = " ".join(f"w{n}" for n in range(20))
TEXTS = ["w1 w2", "w3", LONG, "", "w4 unseen w5", LONG]
PAIRS = [None, "w9 w8 w7", None, "w1", LONG, "w2 w3"]


@pytest.fixture
def base_dir(make_ladder) -> Path:
    return make_ladder("layer").base_dir


@pytest.fixture
def tokenizer(base_dir: Path) -> Tokenizer:
    return load_tokenizer(base_dir)


@pytest.mark.parametrize("max_length", [5, 9, 16, 64])
@pytest.mark.parametrize("pairs", [None, PAIRS])
def test_ids_are_those_of_transformers(base_dir: Path, tokenizer: Tokenizer, pairs, max_length: int) -> None:
    theirs = AutoTokenizer.from_pretrained(base_dir)
    ours = tokenizer.encode(TEXTS, pairs, max_length=max_length, truncate=True)

    for text, pair, tokens in zip(TEXTS, pairs or [None] * len(TEXTS), ours, strict=True):
        whole = theirs(text, pair)
        cut = theirs(text, pair, truncation=True, max_length=max_length)
        assert list(tokens.input_ids) == cut["input_ids"]
        assert list(tokens.token_type_ids) == cut["token_type_ids"]
        assert tokens.truncated == len(whole["input_ids"]) - len(cut["input_ids"])


def test_truncation_and_padding_baked_into_the_file_are_off(tokenizer: Tokenizer) -> None:
    short, long = tokenizer.encode(["w1", LONG], None, max_length=64, truncate=False)

    assert len(short.input_ids) == 3
    assert len(long.input_ids) == 22


def test_a_tokenizer_that_gives_its_model_no_token_types_leaves_them_zero(base_dir: Path) -> None:
    path = base_dir / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"model_input_names": ["input_ids", "attention_mask"]}))
    tokens = load_tokenizer(base_dir).encode(["w1"], ["w2 w3"], max_length=64, truncate=False)[0]

    assert tokens.token_type_ids == (0,) * len(tokens.input_ids)


def test_an_over_long_text_is_refused_unless_truncation_is_asked_for(tokenizer: Tokenizer) -> None:
    with pytest.raises(TextTooLong, match="22 tokens and at most 10") as caught:
        tokenizer.encode(["w1", LONG], None, max_length=10, truncate=False)
    assert (caught.value.index, caught.value.tokens, caught.value.max_length) == (1, 22, 10)


@pytest.mark.parametrize(("texts", "pairs"), [(["w1", "\ud800"], None), (["w1", "w2"], [None, "\udfff"])])
def test_invalid_unicode_is_refused_by_its_place(tokenizer: Tokenizer, texts, pairs) -> None:
    with pytest.raises(InputError, match="input 1 is not valid Unicode"):
        tokenizer.encode(texts, pairs, max_length=10, truncate=True)


def test_as_many_pairs_as_texts(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="2 texts and 1 text pairs"):
        tokenizer.encode(["w1", "w2"], ["w3"], max_length=10, truncate=True)


def test_threads_with_different_lengths_do_not_disturb_each_other(tokenizer: Tokenizer) -> None:
    lengths = [3 + n % 15 for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        encoded = pool.map(lambda n: tokenizer.encode([LONG], None, max_length=n, truncate=True)[0], lengths)
        assert [len(tokens.input_ids) for tokens in encoded] == lengths


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        load_tokenizer(tmp_path)
