"""The JSON of the /v1 routes, as closed models: an unknown key is an error that names it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError


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


Tasks = Literal["all", "auto"] | Annotated[list[str], Field(min_length=1)]


class TasksInput(_Closed):
    """As TextInput, and the tasks that this text is for, where it is for others than the request names."""

    text: str
    text_pair: str | None = None
    tasks: Tasks | None = None


class TasksImageInput(ImageInput):
    """As ImageInput, and the tasks that this image is for, where it is for others than the request names."""

    tasks: Tasks | None = None


def _as_object(value: Any) -> Any:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict | BaseModel):
        return value
    raise PydanticCustomError("input_type", 'should be a text, or {"text": ..., "text_pair": ...} or {"image": ...}')


def _kind(value: dict[str, Any] | BaseModel) -> str:
    return _IMAGE if "image" in (value if isinstance(value, dict) else type(value).model_fields) else _TEXT


_TEXT, _IMAGE = "[text]", "[image]"  # in brackets, as no part of a path that a client is told
Input = Annotated[
    Annotated[TextInput, Tag(_TEXT)] | Annotated[ImageInput, Tag(_IMAGE)],
    Discriminator(_kind),
    BeforeValidator(_as_object, json_schema_input_type=str | TextInput | ImageInput),
]
MixedInput = Annotated[
    Annotated[TasksInput, Tag(_TEXT)] | Annotated[TasksImageInput, Tag(_IMAGE)],
    Discriminator(_kind),
    BeforeValidator(_as_object, json_schema_input_type=str | TasksInput | TasksImageInput),
]
MOST_INPUTS = 16384  # of a stream; what is not streamed has the service's own bound


class Parameters(_Closed):
    """What a request may ask for beyond the answers."""

    top_k: int | None = Field(None, ge=1, description="How many labels an input, the best first; all if left out.")
    truncate: bool = Field(True, description="Cut a text that is too long; if false, such a text is an error.")
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
        json_schema_extra={"examples": [{"inputs": ["a fine film"], "parameters": {"top_k": 2, "return_logits": True}}]}
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


class TaskAnswer(_Closed):
    """A list for each input, in order, of labels from the best down; logits only if they were asked for."""

    predictions: list[list[Prediction]]
    logits: list[list[float]] | None = None


class InputAnswer(_Closed):
    """A task's answer to one input: its labels from the best down; logits only if they were asked for."""

    predictions: list[Prediction]
    logits: list[float] | None = None


class TaskResponse(_Closed):
    """The answer to a TaskRequest; `predictions` and `logits` as in TaskAnswer."""

    id: str
    task: str
    model: Model
    predictions: list[list[Prediction]]
    logits: list[list[float]] | None = None
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


class TaskLine(_Closed):
    """A line of a streamed TaskResponse: the answer to the input at place `index`, and the rung that computed it."""

    index: int
    rung: str
    predictions: list[Prediction]
    logits: list[float] | None = None


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
    """A task: its labels in the order of the logits, and the most tokens of an input."""

    name: str
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
