"""The JSON and the multipart forms of the requests to the `/v1` routes of prediction."""

from pydantic import ConfigDict, Field

from merge_builder.closed import Closed
from serving.api.schemas.inputs import Input, MixedInput, Tasks
from serving.strategy import Strategy

MOST_INPUTS = 16384  # of a stream; what is not streamed has the service's own bound


class Parameters(Closed):
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


class TaskRequest(Closed):
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


class TasksRequest(Closed):
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
        description='Names of tasks, "all", or "auto": each input is given to the task that the ladder\'s router finds '
        "for it, or to the best two. May be left out where every input names its own.",
    )
    parameters: Parameters = Parameters()


class TaskForm(Closed):
    """A TaskRequest as a multipart form: a part `image`, with the file's bytes, for each input, in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": ["(a file)"], "parameters": {"top_k": 2}}]})

    image: list[bytes] = Field(min_length=1, max_length=MOST_INPUTS)
    parameters: Parameters = Parameters()


class TasksForm(TaskForm):
    """A TasksRequest as a multipart form: a part `tasks` for each name, or one that says `all`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": ["(a file)"], "tasks": ["all"]}]})

    tasks: list[str] = Field(min_length=1)
