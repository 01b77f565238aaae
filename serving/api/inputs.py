"""From the inputs of a /v1 request to the service's."""

from collections.abc import Sequence

from serving.api.schemas.inputs import ImageInput, QuestionInput, TasksInput, TextInput, WordsInput
from serving.inputs import ImageFile, Text

AnyInput = TextInput | TasksInput | ImageInput | WordsInput | QuestionInput


def inputs_of(inputs: Sequence[AnyInput]) -> list[Text | ImageFile]:
    """The same inputs, in order."""
    return [_input(item) for item in inputs]


def _input(item: AnyInput) -> Text | ImageFile:
    match item:
        case ImageInput():
            return ImageFile(item.image)
        case WordsInput():
            return Text(" ".join(item.words), words=tuple(item.words))
        case QuestionInput():
            return Text(item.question, item.context)
        case _:
            return Text(item.text, item.text_pair)
