"""From the inputs of a request to what the engine takes: one row for a text, however many tasks it is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import tokenizers

from merge_builder.errors import InputError
from merge_builder.ladder import Kind
from serving.clipping import clip
from serving.engine.tokenize import TextTooLong, Tokenizer, Tokens
from serving.engine.types import Encoded, Image
from serving.errors import EmptyText, InputTooLong, RequestError
from serving.inputs import Ids, Text, check_form


@dataclass(frozen=True)
class Row:
    """One engine input, and the place in the request of the input that it stands for.

    `aligned` tells where in the text each token comes from, for tasks whose answers do. An input may have several such
    rows for one task, the windows of a long text in their order.
    """

    place: int
    encoded: Encoded | Image
    aligned: tokenizers.Encoding | None = None


_OVERLAP = 128  # tokens that two windows share
_CLASSIFIERS: Mapping[str, Kind] = MappingProxyType({})


def encode(
    tokenizer: Tokenizer,
    inputs: Sequence[Text | Ids],
    tasks: Sequence[Sequence[str]],
    max_lengths: Mapping[str, int],
    *,
    truncate: bool,
    first: int = 0,
    kinds: Mapping[str, Kind] = _CLASSIFIERS,
    overlap: int | None = None,
) -> list[Row]:
    """The engine inputs for the tasks that each input is asked for; `max_lengths` tells the most tokens a task takes,
    and `kinds` the kind of those that are no classifiers.

    `inputs` are those of the request from the place `first` on, which rows and errors count by.

    A text is tokenised once for each distinct length, and tasks that get the same tokens share a row: a text that no
    task truncates is one row. Token ids are never truncated. Of a very long text the tokens cut off are counted only as
    far as it was looked at (`serving.clipping`). What a question is asked of is never cut: what is too long is read in
    windows that share `overlap` tokens (by default 128, or half of what the task takes).

    Raises:
        EmptyText: a text is empty or white space, or there are no ids.
        InputTooLong: an input has too many tokens for a task (a text only if `truncate` is false).
        RequestError: a text is not valid Unicode, or not of the form that a task takes.
    """
    rows: list[Row] = []
    texts: dict[int, Text] = {}
    asked: _Asked = {}
    for place, (item, names) in enumerate(zip(inputs, tasks, strict=True), first):
        check_form(place, item, [(task, kinds.get(task, "classification")) for task in names])
        if isinstance(item, Ids):
            rows.append(_row(place, item, names, max_lengths))
            continue
        texts[place] = item
        for task in names:
            way = _Way(max_lengths[task], windows=kinds.get(task) == "question_answering")
            asked.setdefault(way, {}).setdefault(place, []).append(task)
    told = {task for task, kind in kinds.items() if kind == "token_classification"}
    return rows + _text_rows(tokenizer, texts, asked, told, truncate, overlap)


@dataclass(frozen=True)
class _Way:
    """How a text is tokenised: how long, and whether what does not fit is cut or read in further windows."""

    length: int
    windows: bool


_Asked = dict[_Way, dict[int, list[str]]]  # by way and place, the tasks


def _row(place: int, item: Ids, tasks: Sequence[str], max_lengths: Mapping[str, int]) -> Row:
    param, count = f"inputs[{place}]", len(item.input_ids)
    if not count:
        raise EmptyText(f"{param} has no token: send at least one", param)
    task = min(tasks, key=max_lengths.__getitem__)
    if count > max_lengths[task]:
        raise InputTooLong(f"{param} has {count} tokens and task {task!r} takes {max_lengths[task]}: shorten it", param)
    return Row(place, Encoded(item.input_ids, (0,) * count, tuple(tasks)))


def _text_rows(
    tokenizer: Tokenizer,
    texts: Mapping[int, Text],
    asked: _Asked,
    aligned: set[str],
    truncate: bool,
    overlap: int | None,
) -> list[Row]:
    rows: dict[tuple[int, int, tuple[int, ...]], Row] = {}  # by place, number of the window, and tokens
    for way, tasks in asked.items():
        own = {place: texts[place] for place in tasks}
        if way.windows:
            found = _windows(tokenizer, own, way.length, tasks, overlap)
        else:
            told = any(not aligned.isdisjoint(names) for names in tasks.values())
            found = _tokenize(tokenizer, own, way.length, tasks, truncate, told)
        for place, number, tokens in found:
            key = (place, number, tokens.input_ids)
            known = rows.get(key)
            names = (*(known.encoded.tasks if known else ()), *tasks[place])
            encoded = Encoded(tokens.input_ids, tokens.token_type_ids, names, tokens.truncated)
            rows[key] = Row(place, encoded, tokens.aligned or (known.aligned if known else None))
    return list(rows.values())


def _tokenize(
    tokenizer: Tokenizer,
    texts: Mapping[int, Text],
    length: int,
    tasks: Mapping[int, Sequence[str]],
    truncate: bool,
    aligned: bool,
) -> Iterator[tuple[int, int, Tokens]]:
    places = list(texts)
    if truncate:
        texts = {place: _clipped(tokenizer, item, length) for place, item in texts.items()}
    try:
        encodings = tokenizer.encode(
            [item.text for item in texts.values()],
            [item.pair for item in texts.values()],
            max_length=length,
            truncate=truncate,
            aligned=aligned,
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
    for place, tokens in zip(places, encodings, strict=True):
        yield place, 0, tokens


def _windows(
    tokenizer: Tokenizer,
    texts: Mapping[int, Text],
    length: int,
    tasks: Mapping[int, Sequence[str]],
    overlap: int | None,
) -> Iterator[tuple[int, int, Tokens]]:
    overlap = min(_OVERLAP, length // 2) if overlap is None else overlap
    for place, item in texts.items():
        param = f"inputs[{place}]"
        try:
            found = tokenizer.windows(item.text, item.pair or "", max_length=length, overlap=overlap)
        except TextTooLong as error:
            told = f"{param}: the question alone has {error.tokens} tokens and task {tasks[place][0]!r} takes {length}"
            raise InputTooLong(f"{told}: shorten it", param) from error
        except InputError as error:
            raise RequestError(str(error), "inputs") from error
        for number, tokens in enumerate(found):
            yield place, number, tokens


def _clipped(tokenizer: Tokenizer, item: Text, length: int) -> Text:
    pair = None if item.pair is None else clip(tokenizer, item.pair, length)
    return Text(clip(tokenizer, item.text, length), pair)
