"""The JSON of the /v1 routes, as closed models: an unknown key is an error that names it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from merge_builder.kind import Kind
from serving.strategy import Strategy


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextInput(_Closed):
    """A text, and the one that it is compared with where the task takes pairs."""

    text: str
    text_pair: str | None = None


class ImageInput(_Closed):
    """An image: the bytes of a JPEG, PNG, WebP, GIF or BMP file; in JSON they are base64."""

    model_config = ConfigDict(val_json_bytes="base64", ser_json_bytes="base64")

    image: bytes = Field(json_schema_extra={"format": "byte", "contentEncoding": "base64"})


class WordsInput(_Closed):
    """A text in words, where they are to be labelled: as if there were a space between any two."""

    words: list[str] = Field(min_length=1)


class QuestionInput(_Closed):
    """A question, and the text that holds its answer."""

    question: str
    context: str


Tasks = Literal["all", "auto"] | Annotated[list[str], Field(min_length=1)]


class TasksInput(_Closed):
    """As TextInput, and the tasks that this text is for, where it is for others than the request names."""

    text: str
    text_pair: str | None = None
    tasks: Tasks | None = None


class TasksWordsInput(WordsInput):
    """As WordsInput, and the tasks that this text is for, where it is for others than the request names."""

    tasks: Tasks | None = None


class TasksQuestionInput(QuestionInput):
    """As QuestionInput, and the tasks that this question is for, where it is for others than the request names."""

    tasks: Tasks | None = None


class TasksImageInput(ImageInput):
    """As ImageInput, and the tasks that this image is for, where it is for others than the request names."""

    tasks: Tasks | None = None


def _as_object(value: Any) -> Any:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict | BaseModel):
        return value
    raise PydanticCustomError(
        "input_type",
        'should be a text, {"text": ..., "text_pair": ...}, {"words": [...]}, {"question": ..., "context": ...} '
        'or {"image": ...}',
    )


def _form(value: dict[str, Any] | BaseModel) -> str:
    keys = value if isinstance(value, dict) else type(value).model_fields
    return next((form for key, form in _FORMS.items() if key in keys), _TEXT)


# In brackets, as no part of a path that a client is told.
_TEXT, _IMAGE, _WORDS, _QUESTION = "[text]", "[image]", "[words]", "[question]"
_FORMS = {"image": _IMAGE, "words": _WORDS, "question": _QUESTION}
Input = Annotated[
    Annotated[TextInput, Tag(_TEXT)]
    | Annotated[ImageInput, Tag(_IMAGE)]
    | Annotated[WordsInput, Tag(_WORDS)]
    | Annotated[QuestionInput, Tag(_QUESTION)],
    Discriminator(_form),
    BeforeValidator(_as_object, json_schema_input_type=str | TextInput | ImageInput | WordsInput | QuestionInput),
]
MixedInput = Annotated[
    Annotated[TasksInput, Tag(_TEXT)]
    | Annotated[TasksImageInput, Tag(_IMAGE)]
    | Annotated[TasksWordsInput, Tag(_WORDS)]
    | Annotated[TasksQuestionInput, Tag(_QUESTION)],
    Discriminator(_form),
    BeforeValidator(
        _as_object,
        json_schema_input_type=str | TasksInput | TasksImageInput | TasksWordsInput | TasksQuestionInput,
    ),
]
MOST_INPUTS = 16384  # of a stream; what is not streamed has the service's own bound


class Parameters(_Closed):
    """What a request may ask for beyond the answers."""

    top_k: int | None = Field(
        None,
        ge=1,
        description="How many labels an input, the best first; all if left out. Of a question's answers, one.",
    )
    truncate: bool = Field(True, description="Cut a text that is too long; if false, such a text is an error.")
    aggregation_strategy: Strategy | None = Field(
        None, description="How labelled tokens become entities, as transformers names it; if left out, words are told."
    )
    max_answer_len: int = Field(15, ge=1, le=512, description="The most tokens of a question's answer.")
    doc_stride: int | None = Field(
        None, ge=0, le=4096, description="The tokens that neighbouring windows of a question's context share."
    )
    return_logits: bool = Field(False, description="Tell the logits too, in the order of the task's labels.")
    min_rung: str | None = Field(
        None, max_length=32, description="Refuse an answer by a smaller rung: a size ratio or #index.", examples=["2.0"]
    )
    min_score: float | None = Field(
        None, gt=0, le=1, description="Refuse an answer by a rung that keeps less of the experts' accuracy than this."
    )


class TaskRequest(_Closed):
    """One task's answer for each input."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": ["a fine film"], "parameters": {"top_k": 2, "return_logits": True}},
                {"inputs": [{"words": ["Ann", "sings"]}], "parameters": {"aggregation_strategy": "first"}},
                {"inputs": [{"question": "who sings?", "context": "Ann sings."}], "parameters": {"top_k": 3}},
            ]
        }
    )

    inputs: list[Input] = Field(min_length=1, max_length=MOST_INPUTS)
    parameters: Parameters = Parameters()


class TasksRequest(_Closed):
    """The answers of several tasks for each input; blocks that the tasks share run once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": ["a fine film"], "tasks": "all", "parameters": {"top_k": 1}},
                {"inputs": [{"text": "a fine film", "tasks": "all"}, {"text": "the final whistle", "tasks": "all"}]},
            ]
        }
    )

    inputs: list[MixedInput] = Field(min_length=1, max_length=MOST_INPUTS)
    tasks: Tasks | None = Field(
        None,
        description='Names of tasks, or "all". "auto" needs a ladder with a router. '
        "May be left out where every input names its own.",
    )
    parameters: Parameters = Parameters()


class TaskForm(_Closed):
    """A TaskRequest as a multipart form: a part `image`, with the file's bytes, for each input, in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": ["(a file)"], "parameters": {"top_k": 2}}]})

    image: list[bytes] = Field(min_length=1, max_length=MOST_INPUTS)
    parameters: Parameters = Parameters()


class TasksForm(TaskForm):
    """A TasksRequest as a multipart form: a part `tasks` for each name, or one that says `all`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": ["(a file)"], "tasks": ["all"]}]})

    tasks: list[str] = Field(min_length=1)


class Model(_Closed):
    """What computed an answer: `rung` has the form that `--rung` and `min_rung` take."""

    ladder: str
    revision: str
    rung: str = Field(examples=["#37"])
    ratio: float


class Prediction(_Closed):
    """A label of the task and its score."""

    label: str
    score: float


class Usage(_Closed):
    """Tokens computed, a text's once for all tasks that take them alike, and tokens that were cut off."""

    tokens: int
    truncated: int


class TimingsMs(_Closed):
    """Milliseconds; `queue` and `inference` are those of the input that was answered last."""

    queue: float
    tokenize: float
    inference: float
    total: float


class Word(_Closed):
    """A word by its number, with its label, at the characters from `start` to `end` of the text."""

    index: int
    word: str
    label: str
    score: float
    start: int
    end: int


class Entity(_Closed):
    """Words of one entity, at the characters from `start` to `end` of the text."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


class TokenEntity(_Closed):
    """A token of an entity; `index` counts all tokens of the text, special ones included."""

    entity: str
    score: float
    index: int
    word: str
    start: int
    end: int


class SpanAnswer(_Closed):
    """An answer, which stands in the context at the characters from `start` to `end`."""

    answer: str
    score: float
    start: int
    end: int


def _empty(value: list[Any]) -> bool:
    return not value


class InputAnswer(_Closed):
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


class TaskAnswer(_Closed):
    """As InputAnswer, a list for each input, in order."""

    predictions: list[list[Prediction]] = Field(default=[], exclude_if=_empty)
    words: list[list[Word]] | None = None
    entities: list[list[Entity] | list[TokenEntity]] | None = None
    truncated: list[bool] | None = None
    answers: list[list[SpanAnswer]] | None = None
    embeddings: list[list[float]] | None = None
    logits: list[list[float]] | list[list[list[float]]] | None = None


class _OneTask(_Closed):
    id: str
    task: str
    model: Model


class TaskResponse(TaskAnswer, _OneTask):
    """The answer to a TaskRequest."""

    usage: Usage
    timings_ms: TimingsMs


class TasksResponse(_Closed):
    """The answer to a TasksRequest, by task."""

    id: str
    model: Model
    results: dict[str, TaskAnswer]
    usage: Usage
    timings_ms: TimingsMs


class MixedResponse(_Closed):
    """The answer to a TasksRequest where an input names tasks of its own: one element for each input, by task."""

    id: str
    model: Model
    answers: list[dict[str, InputAnswer]]
    usage: Usage
    timings_ms: TimingsMs


class _OneInput(_Closed):
    index: int
    rung: str


class TaskLine(InputAnswer, _OneInput):
    """A line of a streamed TaskResponse: the answer to the input at place `index`, and the rung that computed it."""


class TasksLine(_Closed):
    """A line of a streamed TasksResponse or MixedResponse: as TaskLine, by task."""

    index: int
    rung: str
    answers: dict[str, InputAnswer]


class LastLine(_Closed):
    """The last line of a stream that is whole. `model` is that of the line before."""

    id: str
    model: Model
    usage: Usage
    timings_ms: TimingsMs


class TaskInfo(_Closed):
    """A task: the kind of its answers, its labels in the order of the logits, and the most tokens of an input."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    max_length: int


class TaskList(_Closed):
    """Every task of the ladder."""

    tasks: list[TaskInfo]


class RungInfo(_Closed):
    """A rung: its name, its size as a multiple of one model, and its exact bytes."""

    rung: str
    index: int
    ratio: float
    bytes: int


class LadderInfo(_Closed):
    """The ladder, the rung that answers now, and why it is that one."""

    name: str
    revision: str
    method: dict[str, Any]
    tasks: list[str]
    rungs: list[RungInfo]
    current: RungInfo
    budget: int | None = Field(description="Bytes of memory that the rung had to fit, where that decided.")
    reason: str


class ErrorDetail(_Closed):
    """`param` is the path of the offending part of the request, such as `inputs[2].text`."""

    type: str
    message: str
    param: str | None
    request_id: str


class ErrorBody(_Closed):
    """The body of every error outside /v2."""

    error: ErrorDetail
