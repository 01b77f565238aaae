"""From texts to token ids, exactly as transformers' own tokenizer of the base does, but safe to call from many threads.

tokenizer = load_tokenizer(ladder.base_dir)
tokenizer.encode(["a fine film"], None, max_length=128, truncate=True)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import tokenizers
from transformers import AutoTokenizer

from merge_builder.errors import InputError


class TextTooLong(InputError):
    """A text has more tokens than the task takes; `index` is its place in the call."""

    def __init__(self, index: int, tokens: int, max_length: int) -> None:
        super().__init__(
            f"input {index} has {tokens} tokens and at most {max_length} are taken: shorten it, or ask for truncation"
        )
        self.index, self.tokens, self.max_length = index, tokens, max_length


@dataclass(frozen=True)
class Tokens:
    """One tokenised input, special tokens included; `truncated` counts the tokens that were cut off.

    `aligned` tells where in the text each token comes from, if that was asked for.
    """

    input_ids: tuple[int, ...]
    token_type_ids: tuple[int, ...]
    truncated: int
    aligned: tokenizers.Encoding | None = None


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer without padding. `plain` never truncates; `cutting(n)` is its twin that truncates to n tokens.

    Neither is ever reconfigured, which is what makes them safe to share between threads. `typed` tells whether the
    model takes token type ids from this tokenizer; if not they are all 0. `unknown` is the id for what the vocabulary
    lacks.
    """

    plain: tokenizers.Tokenizer
    typed: bool
    cutting: Callable[[int], tokenizers.Tokenizer]
    unknown: int | None = None

    def encode(
        self,
        texts: Sequence[str],
        pairs: Sequence[str | None] | None,
        *,
        max_length: int,
        truncate: bool,
        aligned: bool = False,
    ) -> list[Tokens]:
        """Tokenise `texts`, each with its text in `pairs` where there is one; one result per text, in order.

        Raises:
            TextTooLong: a text has more than `max_length` tokens and `truncate` is false.
            InputError: a text is not valid Unicode, or there are not as many pairs as texts.
        """
        inputs = _paired(texts, pairs)
        tokens = [self._tokens(encoding, 0, aligned) for encoding in _encode(self.plain, inputs, aligned)]
        for index, whole in enumerate(tokens):
            if (count := len(whole.input_ids)) > max_length:
                if not truncate:
                    raise TextTooLong(index, count, max_length)
                cut = _encode(self.cutting(max_length), [inputs[index]], aligned)[0]
                tokens[index] = self._tokens(cut, count - len(cut.ids), aligned)
        return tokens

    def windows(self, text: str, pair: str, *, max_length: int, overlap: int) -> list[Tokens]:
        """`text` with as much of `pair` as fits, and again with what follows, as often as it takes: aligned.

        Neighbours share `overlap` tokens of `pair`, fewer where not so many fit.

        Raises:
            TextTooLong: `text` alone leaves no room.
            InputError: a text is not valid Unicode.
        """
        [_] = _paired([text], [pair])
        first, second = (self.plain.encode(part, add_special_tokens=False) for part in (text, pair))
        around = len(first.ids) + self.plain.num_special_tokens_to_add(True)
        if (room := max_length - around) < 1:
            raise TextTooLong(0, around, max_length - 1)
        second.truncate(room, stride=min(overlap, room - 1))
        parts = [second, *second.overflowing]
        return [self._tokens(self.plain.post_process(first, part), 0, True) for part in parts]

    def join(self, tokens: Sequence[str]) -> str:
        """Tokens as the text that they stand for, as transformers' `convert_tokens_to_string` does."""
        if self.plain.decoder is None:
            return " ".join(tokens)
        joined: str = self.plain.decoder.decode(list(tokens))
        return joined

    @property
    def marks_continuation(self) -> bool:
        """Whether a token tells by itself that it goes on with a word (`##ing`)."""
        return bool(getattr(self.plain.model, "continuing_subword_prefix", None))

    def _tokens(self, encoding: tokenizers.Encoding, truncated: int, aligned: bool) -> Tokens:
        types = encoding.type_ids if self.typed else [0] * len(encoding.ids)
        return Tokens(tuple(encoding.ids), tuple(types), truncated, encoding if aligned else None)


def load_tokenizer(base_dir: Path) -> Tokenizer:
    """The tokenizer whose files lie in `base_dir`, read as transformers reads them.

    Truncation and padding that were baked into `tokenizer.json` are switched off.

    Raises:
        InputError: there is none, or it has no fast implementation.
    """
    try:
        loaded = AutoTokenizer.from_pretrained(base_dir, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"no tokenizer can be read from {base_dir}: {error}") from error
    if not loaded.is_fast:
        raise InputError(f"the tokenizer in {base_dir} has no tokenizer.json: save it with its fast class")
    plain = loaded.backend_tokenizer
    plain.no_truncation()
    plain.no_padding()
    text, side = plain.to_str(), loaded.truncation_side

    @lru_cache(maxsize=16)  # a copy holds the vocabulary; tasks have few different lengths
    def cutting(max_length: int) -> tokenizers.Tokenizer:
        cutter = tokenizers.Tokenizer.from_str(text)
        cutter.enable_truncation(max_length, strategy="longest_first", direction=side)
        return cutter

    return Tokenizer(plain, "token_type_ids" in loaded.model_input_names, cutting, loaded.unk_token_id)


def _encode(
    tokenizer: tokenizers.Tokenizer, inputs: list[str | tuple[str, str]], aligned: bool
) -> list[tokenizers.Encoding]:
    encode = tokenizer.encode_batch if aligned else tokenizer.encode_batch_fast  # the fast one tells no offsets
    encodings: list[tokenizers.Encoding] = encode(inputs)
    return encodings


def _paired(texts: Sequence[str], pairs: Sequence[str | None] | None) -> list[str | tuple[str, str]]:
    if pairs is not None and len(pairs) != len(texts):
        raise InputError(f"there are {len(texts)} texts and {len(pairs)} text pairs: give one for each, or none")
    pairs = pairs or [None] * len(texts)
    for index, (text, pair) in enumerate(zip(texts, pairs, strict=True)):
        try:
            (text + (pair or "")).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"input {index} is not valid Unicode: {error.reason}") from error
    return [text if pair is None else (text, pair) for text, pair in zip(texts, pairs, strict=True)]
