"""The JSON of the answers of the `/v1` routes of prediction, whole and in lines."""

from typing import Any

from pydantic import Field

from merge_builder.closed import Closed


class Model(Closed):
    """What computed an answer: `rung` has the form that `--rung` and `min_rung` take."""

    ladder: str
    revision: str
    rung: str = Field(examples=["#37"])
    ratio: float


class Prediction(Closed):
    """A label of the task and its score."""

    label: str
    score: float


class Usage(Closed):
    """Tokens computed, a text's once for all tasks that take them alike, and tokens that were cut off."""

    tokens: int
    truncated: int


class TimingsMs(Closed):
    """Milliseconds; `queue` and `inference` are those of the input that was answered last."""

    queue: float
    tokenize: float
    inference: float
    total: float


class Word(Closed):
    """A word by its number, with its label, at the characters from `start` to `end` of the text."""

    index: int
    word: str
    label: str
    score: float
    start: int
    end: int


class Entity(Closed):
    """Words of one entity, at the characters from `start` to `end` of the text."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


class TokenEntity(Closed):
    """A token of an entity; `index` counts all tokens of the text, special ones included."""

    entity: str
    score: float
    index: int
    word: str
    start: int
    end: int


class SpanAnswer(Closed):
    """An answer, which stands in the context at the characters from `start` to `end`."""

    answer: str
    score: float
    start: int
    end: int


def _empty(value: list[Any]) -> bool:
    return not value


class InputAnswer(Closed):
    """A task's answer to one input, by the task's kind.

    `predictions` of a classification: labels from the best down. Of a token classification `words`, in order, or
    `entities` where an aggregation strategy was asked for; `truncated` says that the end of the text was not read.
    `answers` to a question, the best first. `embedding`: a vector. `logits` only if they were asked for, of
    classifications and, by token, special ones included, of token classifications.
    """

    predictions: list[Prediction] = Field(default=[], exclude_if=_empty)
    words: list[Word] | None = None
    entities: list[Entity] | list[TokenEntity] | None = None
    truncated: bool | None = None
    answers: list[SpanAnswer] | None = None
    embedding: list[float] | None = None
    logits: list[float] | list[list[float]] | None = None


class MixedAnswer(InputAnswer):
    """As InputAnswer. Where the router chose the task, `confidence` is how sure it is that the input is for it, from 0
    to 1. Where two tasks with the same labels answer as one, `ensemble` has the confidence in each: what is told is the
    mean of their probabilities by these weights, and `confidence` is their sum.
    """

    confidence: float | None = None
    ensemble: dict[str, float] | None = None


class TaskAnswer(Closed):
    """As InputAnswer, a list for each input, in order."""

    predictions: list[list[Prediction]] = Field(default=[], exclude_if=_empty)
    words: list[list[Word]] | None = None
    entities: list[list[Entity] | list[TokenEntity]] | None = None
    truncated: list[bool] | None = None
    answers: list[list[SpanAnswer]] | None = None
    embeddings: list[list[float]] | None = None
    logits: list[list[float]] | list[list[list[float]]] | None = None


class _OneTask(Closed):
    id: str
    task: str
    model: Model


class TaskResponse(TaskAnswer, _OneTask):
    """The answer to a TaskRequest."""

    usage: Usage
    timings_ms: TimingsMs


class TasksResponse(Closed):
    """The answer to a TasksRequest, by task."""

    id: str
    model: Model
    results: dict[str, TaskAnswer]
    usage: Usage
    timings_ms: TimingsMs


class MixedResponse(Closed):
    """The answer to a TasksRequest where an input names tasks of its own, or the router chooses them: one element for
    each input, by task, of those that the router chose the best first."""

    id: str
    model: Model
    answers: list[dict[str, MixedAnswer]]
    usage: Usage
    timings_ms: TimingsMs


class _OneInput(Closed):
    index: int
    rung: str


class TaskLine(InputAnswer, _OneInput):
    """A line of a streamed TaskResponse: the answer to the input at place `index`, and the rung that computed it."""


class TasksLine(Closed):
    """A line of a streamed TasksResponse or MixedResponse: as TaskLine, by task."""

    index: int
    rung: str
    answers: dict[str, MixedAnswer]


class LastLine(Closed):
    """The last line of a stream that is whole. `model` is that of the line before."""

    id: str
    model: Model
    usage: Usage
    timings_ms: TimingsMs
