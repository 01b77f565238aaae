"""The JSON of the Open Inference Protocol, version 2, with its binary tensor extension.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol. The protocol leaves `parameters`
open: those that are not ours are ignored.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from merge_builder.closed import Closed

Output = Literal["logits", "probabilities", "label", "offsets", "answer", "score", "start", "end", "embedding"]


class _Open(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TensorParameters(_Open):
    """`binary_data_size`: the tensor's bytes lie after the JSON, in the order of the tensors."""

    binary_data_size: NonNegativeInt | None = None


class InputTensor(Closed):
    """An input: `text` and `text_pair` (BYTES), `input_ids` and `attention_mask` (INT64), or `image` (BYTES)."""

    name: str = Field(max_length=64)
    datatype: str = Field(max_length=64)
    shape: list[NonNegativeInt] = Field(max_length=8)
    parameters: TensorParameters = TensorParameters()
    data: list[Any] | None = None


class OutputParameters(_Open):
    """`binary_data` decides over the request's `binary_data_output`; `classification` is not offered."""

    binary_data: bool | None = None
    classification: Literal[0] = 0


class RequestedOutput(Closed):
    """An output that the response is to hold."""

    name: Output
    parameters: OutputParameters = OutputParameters()


class InferParameters(_Open):
    """The protocol's switch for binary outputs, and our own parameters."""

    binary_data_output: bool = False
    truncate: bool = True
    max_answer_len: int = Field(15, ge=1, le=512)
    doc_stride: int | None = Field(None, ge=0, le=4096)
    min_rung: str | None = Field(None, max_length=32)
    min_score: float | None = Field(None, gt=0, le=1)


class InferRequest(Closed):
    """A request; without `outputs` the response holds them all."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "1", "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a fine film"]}]}
            ]
        }
    )

    id: str | None = None
    parameters: InferParameters = InferParameters()
    inputs: list[InputTensor] = Field(min_length=1)
    outputs: list[RequestedOutput] = Field(default=[])


class OutputTensor(Closed):
    """An output; `data` is left out where it lies after the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: TensorParameters | None = None
    data: list[Any] | None = None


class InferResponse(Closed):
    """A response; `parameters` tell the rung that computed it."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, str | float]
    outputs: list[OutputTensor]


class TensorMetadata(Closed):
    """A tensor's type; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Closed):
    """A task, as the protocol describes a model; `parameters` tell the kind of its answers."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, str] = Field(default={})


class ServerMetadata(Closed):
    """This server."""

    name: str
    version: str
    extensions: list[str]


class Health(Closed):
    """Whether the process answers, and whether it has done a first inference and is not shutting down."""

    live: bool
    ready: bool


class ModelReady(Closed):
    """Whether a task can be asked."""

    name: str
    ready: bool


class ModelIndex(Closed):
    """A row of the model repository's index."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class ModelList(Closed):
    """Every task; an extension of ours."""

    models: list[str]


class ProtocolError(Closed):
    """The body of every error under /v2."""

    error: str
