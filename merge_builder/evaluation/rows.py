"""The rows of an evaluation, by the kind of their task: what a line of a JSON Lines file may hold."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from merge_builder.closed import Closed
from merge_builder.errors import InputError
from merge_builder.kind import Kind

_FORMS: dict[Kind, str] = {
    "classification": '{"text": ..., "label": ...}, with "text_pair" for pairs, or {"image": ..., "label": ...}',
    "token_classification": '{"words": [...], "labels": [...]}',
    "question_answering": '{"question": ..., "context": ..., "answers": [...]}',
    "embedding": '{"text": ..., "text_pair": ..., "score": ...}',
}

# Of pydantic's types, in the words of JSON.
_PROBLEMS = {"extra_forbidden": "unknown key", "missing": "this key is missing", "model_type": "not an object"}


@dataclass(frozen=True)
class Row:
    """One input and what is right for it.

    A text, or a pair of them, or an image by its file, with a `label`; words, with a label each; a question and its
    context as `text` and `text_pair`, with all `answers` that are right; or two texts and how alike they are, as
    `score`, whose unit does not matter.
    """

    text: str = ""
    text_pair: str | None = None
    image: Path | None = None
    words: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    label: str = ""
    answers: tuple[str, ...] = ()
    score: float | None = None


class _Text(Closed):
    text: str
    text_pair: str | None = None
    label: str
    labels: tuple[()] = ()  # those of no words, as files of the demo had them

    def row(self) -> Row:
        return Row(text=self.text, text_pair=self.text_pair, label=self.label)


class _Image(Closed):
    image: Path
    label: str

    def row(self) -> Row:
        return Row(image=self.image, label=self.label)


class _Words(Closed):
    words: Annotated[tuple[str, ...], Field(min_length=1)]
    labels: tuple[str, ...]

    def row(self) -> Row:
        if len(self.words) != len(self.labels):
            raise ValueError(f"there are {len(self.words)} words and {len(self.labels)} labels: write one for each")
        return Row(words=self.words, labels=self.labels)


class _Question(Closed):
    question: str
    context: str
    answers: Annotated[tuple[str, ...], Field(min_length=1)]

    def row(self) -> Row:
        if not (self.question.strip() and self.context.strip() and all(map(str.strip, self.answers))):
            raise ValueError("a question, its context and every answer have some text: one without an answer is no row")
        return Row(text=self.question, text_pair=self.context, answers=self.answers)


class _Pair(Closed):
    text: str
    text_pair: str
    score: Annotated[float, Field(allow_inf_nan=False)]

    def row(self) -> Row:
        if not (self.text.strip() and self.text_pair.strip()):
            raise ValueError("both texts have some text")
        return Row(text=self.text, text_pair=self.text_pair, score=self.score)


_MODELS: dict[Kind, type[_Text | _Words | _Question | _Pair]] = {
    "classification": _Text,
    "token_classification": _Words,
    "question_answering": _Question,
    "embedding": _Pair,
}


def parse_row(line: str, where: str, kind: Kind = "classification") -> Row:
    """The row in a `line`, for a task of that kind; an image's path is as it is written.

    Raises:
        InputError: it is of no form that such a task takes; names `where`, which is the file and the line.
    """
    try:
        document: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    holds_image = kind == "classification" and isinstance(document, dict) and "image" in document
    model = _Image if holds_image else _MODELS[kind]
    try:
        # A label may be written as a number; labels are compared as text.
        if isinstance(document, dict) and isinstance(document.get("label"), int):
            document["label"] = str(document["label"])
        return model.model_validate(document).row()
    except ValidationError as error:
        first = error.errors()[0]
        problem = ": ".join((*map(str, first["loc"]), _PROBLEMS.get(first["type"], first["msg"])))
    except ValueError as error:
        problem = str(error)
    named = f"{'an' if kind == 'embedding' else 'a'} {kind.replace('_', ' ')}"
    raise InputError(f"{where}: {problem}; a row of {named} is {_FORMS[kind]}")
