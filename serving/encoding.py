"""From the inputs of a request to what the engine takes: one row for a text, however many tasks it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from merge_builder.errors import InputError
from serving.clipping import clip
from serving.engine.tokenize import TextTooLong, Tokenizer, Tokens
from serving.engine.types import Encoded, Image
from serving.errors import EmptyText, InputTooLong, RequestError


@dataclass(frozen=True)
class Text:
    """A text, or a pair of them where the task compares two."""

    text: str
    pair: str | None = None


@dataclass(frozen=True)
class Ids:
    """An input that the client tokenised, special tokens included; every token is of type 0."""

    input_ids: tuple[int, ...]


@dataclass(frozen=True)
class ImageFile:
    """An image, as the bytes of its file (`serving.images`)."""

    data: bytes


Input = Text | Ids | ImageFile


@dataclass(frozen=True)
class Row:
    """One engine input, and the place in the request of the input that it stands for."""

    place: int
    encoded: Encoded | Image


def encode(
    tokenizer: Tokenizer,
    inputs: Sequence[Text | Ids],
    tasks: Sequence[Sequence[str]],
    max_lengths: Mapping[str, int],
    *,
    truncate: bool,
    first: int = 0,
) -> list[Row]:
    """The engine inputs for the tasks that each input is asked for; `max_lengths` tells the most tokens a task takes.

    `inputs` are those of the request from the place `first` on, which rows and errors count by.

    A text is tokenised once for each distinct length, and tasks that get the same tokens share a row: a text that no
    task truncates is one row. Token ids are never truncated. Of a very long text the tokens cut off are counted only as
    far as it was looked at (`serving.clipping`).

    Raises:
        EmptyText: a text is empty or white space, or there are no ids.
        InputTooLong: an input has too many tokens for a task (a text only if `truncate` is false).
        RequestError: a text is not valid Unicode.
    """
    rows: list[Row] = []
    texts: dict[int, Text] = {}
    asked: dict[int, dict[int, list[str]]] = {}  # by length and text, the tasks that take so many tokens of it
    for place, (item, names) in enumerate(zip(inputs, tasks, strict=True), first):
        if isinstance(item, Ids):
            rows.append(_row(place, item, names, max_lengths))
            continue
        if not item.text.strip():
            raise EmptyText(f"inputs[{place}] has no text: send at least one character", f"inputs[{place}]")
        texts[place] = item
        for task in names:
            asked.setdefault(max_lengths[task], {}).setdefault(place, []).append(task)
    return rows + _text_rows(tokenizer, texts, asked, truncate)


def _row(place: int, item: Ids, tasks: Sequence[str], max_lengths: Mapping[str, int]) -> Row:
    param, count = f"inputs[{place}]", len(item.input_ids)
    if not count:
        raise EmptyText(f"{param} has no token: send at least one", param)
    task = min(tasks, key=max_lengths.__getitem__)
    if count > max_lengths[task]:
        raise InputTooLong(f"{param} has {count} tokens and task {task!r} takes {max_lengths[task]}: shorten it", param)
    return Row(place, Encoded(item.input_ids, (0,) * count, tuple(tasks)))


def _text_rows(
    tokenizer: Tokenizer, texts: Mapping[int, Text], asked: Mapping[int, Mapping[int, Sequence[str]]], truncate: bool
) -> list[Row]:
    rows: dict[tuple[int, tuple[int, ...]], Encoded] = {}
    for length, tasks in asked.items():
        for place, tokens in _tokenize(tokenizer, {place: texts[place] for place in tasks}, length, tasks, truncate):
            known = rows.get((place, tokens.input_ids))
            rows[place, tokens.input_ids] = Encoded(
                tokens.input_ids,
                tokens.token_type_ids,
                (*(known.tasks if known else ()), *tasks[place]),
                tokens.truncated,
            )
    return [Row(place, encoded) for (place, _), encoded in rows.items()]


def _tokenize(
    tokenizer: Tokenizer, texts: Mapping[int, Text], length: int, tasks: Mapping[int, Sequence[str]], truncate: bool
) -> list[tuple[int, Tokens]]:
    places = list(texts)
    if truncate:
        texts = {place: _clipped(tokenizer, item, length) for place, item in texts.items()}
    try:
        encodings = tokenizer.encode(
            [item.text for item in texts.values()],
            [item.pair for item in texts.values()],
            max_length=length,
            truncate=truncate,
        )
    except TextTooLong as error:
        place = places[error.index]
        param = f"inputs[{place}]"
        raise InputTooLong(
            f"{param} has {error.tokens} tokens and task {tasks[place][0]!r} takes {length}: "
            "shorten it, or set parameters.truncate to true",
            param,
        ) from error
    except InputError as error:
        raise RequestError(str(error), "inputs") from error
    return list(zip(places, encodings, strict=True))


def _clipped(tokenizer: Tokenizer, item: Text, length: int) -> Text:
    pair = None if item.pair is None else clip(tokenizer, item.pair, length)
    return Text(clip(tokenizer, item.text, length), pair)
