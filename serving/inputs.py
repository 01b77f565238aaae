"""The inputs of a request, as every transport hands them over, and what a task or a ladder takes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from merge_builder.ladder import Kind
from serving.errors import EmptyText, RequestError


@dataclass(frozen=True)
class Text:
    """A text, or a pair of them where the task compares two: a question and what holds its answer, for one.

    `words` are those that the text was put together from, with a space between any two.
    """

    text: str
    pair: str | None = None
    words: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Ids:
    """An input that the client tokenised, special tokens included; every token is of type 0."""

    input_ids: tuple[int, ...]


@dataclass(frozen=True)
class ImageFile:
    """An image, as the bytes of its file (`serving.images`)."""

    data: bytes


Input = Text | Ids | ImageFile


def check_form(place: int, item: Text | Ids, tasks: Sequence[tuple[str, Kind]]) -> None:
    """Refuse an input that is empty, or of a form that one of `tasks` does not take.

    Raises:
        EmptyText, RequestError: it is; `place` is its place in the request.
    """
    param = f"inputs[{place}]"
    asking = next((task for task, kind in tasks if kind == "question_answering"), None)
    if isinstance(item, Ids):
        if asking is not None:
            raise RequestError(f"{param} is of token ids, and task {asking!r} tells places in a text: send it", param)
        return
    if not item.text.strip():
        raise EmptyText(f"{param} has no text: send at least one character", param)
    if asking is not None and not (item.pair or "").strip():
        raise RequestError(f'{param}: task {asking!r} takes {{"question": ..., "context": ...}}, none empty', param)
    for task, kind in tasks:
        if kind == "token_classification" and item.pair is not None:
            raise RequestError(f"{param} is a pair, and task {task!r} labels the words of one text", param)


def texts_of(inputs: Sequence[Input], first: int) -> list[Text | Ids]:
    """`inputs`, which are those of the request from the place `first` on, for a ladder of texts.

    Raises:
        RequestError: one is an image.
    """
    texts = [item for item in inputs if not isinstance(item, ImageFile)]
    _check_all(inputs, texts, first, "an image, and this ladder's tasks take texts")
    return texts


def files_of(inputs: Sequence[Input], first: int) -> list[ImageFile]:
    """As `texts_of`, for a ladder of images.

    Raises:
        RequestError: one is a text.
    """
    files = [item for item in inputs if isinstance(item, ImageFile)]
    _check_all(inputs, files, first, "a text, and this ladder's tasks take images")
    return files


def _check_all(inputs: Sequence[Input], right: Sequence[Input], first: int, problem: str) -> None:
    if len(right) < len(inputs):
        place = first + next(n for n, item in enumerate(inputs) if n == len(right) or item is not right[n])
        raise RequestError(f"inputs[{place}] is {problem}", f"inputs[{place}]")
