"""A very long text is cut before it is tokenised, where that cannot change what truncation leaves of it.

The rule: the start of a text is tokenised. Its tokens are final but for those of its last word and of its last 64
characters, which what follows may change (no added token is longer, and words are tokenised one by one). If there are
as many final ones as the task takes, the rest of the text is never looked at; if not, the start grows fourfold.

One token may differ, in a pair of two such texts that share an odd number of tokens: the odd one is given to one of
them by their lengths, which are then not known.
"""

from serving.engine.tokenize import Tokenizer

_CHARACTERS = 16  # a token: a text of no more than this is not worth a look
_OPEN_END = 64


def clip(tokenizer: Tokenizer, text: str, max_length: int) -> str:
    """The start of `text` that truncation to `max_length` tokens leaves the same of, alone or as one of a pair.

    A tokenizer that keeps the end of a text is given all of it.
    """
    length = _CHARACTERS * max_length
    while length < len(text) and not _keeps_the_end(tokenizer, max_length):
        if _final_tokens(tokenizer, text[:length]) >= max_length:
            return text[:length]
        length *= 4
    return text


def _keeps_the_end(tokenizer: Tokenizer, max_length: int) -> bool:
    return (tokenizer.cutting(max_length).truncation or {}).get("direction") == "left"


def _final_tokens(tokenizer: Tokenizer, start: str) -> int:
    encoding = tokenizer.plain.encode(start, add_special_tokens=False)
    words, end = encoding.word_ids, len(start) - _OPEN_END
    return sum(stop <= end and word != words[-1] for (_, stop), word in zip(encoding.offsets, words, strict=True))
