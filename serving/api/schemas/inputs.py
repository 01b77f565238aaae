"""The JSON of a `/v1` request's inputs: what a task is asked about."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from merge_builder.closed import Closed


class TextInput(Closed):
    """A text, and the one that it is compared with where the task takes pairs."""

    text: str
    text_pair: str | None = None


class ImageInput(Closed):
    """An image: the bytes of a JPEG, PNG, WebP, GIF or BMP file; in JSON they are base64."""

    model_config = ConfigDict(val_json_bytes="base64", ser_json_bytes="base64")

    image: bytes = Field(json_schema_extra={"format": "byte", "contentEncoding": "base64"})


class WordsInput(Closed):
    """A text in words, where they are to be labelled: as if there were a space between any two."""

    words: list[str] = Field(min_length=1)


class QuestionInput(Closed):
    """A question, and the text that holds its answer."""

    question: str
    context: str


Tasks = Literal["all", "auto"] | Annotated[list[str], Field(min_length=1)]


class TasksInput(Closed):
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
