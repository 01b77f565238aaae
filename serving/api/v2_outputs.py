"""From the service's logits to the tensors of an inference response."""

from typing import get_args

from merge_builder.ladder.manifest import Task
from serving.api.binary_tensors import write_strings
from serving.api.protocol import InferRequest, Output, OutputTensor, TensorParameters
from serving.engine.types import Logits
from serving.scores import probabilities


def write_outputs(request: InferRequest, logits: Logits, task: Task) -> tuple[list[OutputTensor], bytes]:
    """The outputs asked for, in the order asked (all, if none was), and the bytes of those that are binary.

    `logits` is float32 of shape (N, labels); `label` is the one with the highest logit.
    """
    asked: dict[Output, bool | None] = {output.name: output.parameters.binary_data for output in request.outputs}
    tensors: list[OutputTensor] = []
    chunks: list[bytes] = []
    for name, binary in (asked or dict.fromkeys(get_args(Output))).items():
        tensor, data = _labels(logits, task) if name == "label" else _floats(name, logits, task)
        if request.parameters.binary_data_output if binary is None else binary:
            chunks.append(data)
            parameters = TensorParameters(binary_data_size=len(data))
            tensor = tensor.model_copy(update={"data": None, "parameters": parameters})
        tensors.append(tensor)
    return tensors, b"".join(chunks)


def _labels(logits: Logits, task: Task) -> tuple[OutputTensor, bytes]:
    labels = [task.labels[best] for best in logits.argmax(axis=-1)]
    return OutputTensor(name="label", datatype="BYTES", shape=[len(labels)], data=labels), write_strings(labels)


def _floats(name: str, logits: Logits, task: Task) -> tuple[OutputTensor, bytes]:
    values = logits if name == "logits" else probabilities(logits, task)
    tensor = OutputTensor(name=name, datatype="FP32", shape=list(values.shape), data=values.ravel().tolist())
    return tensor, values.astype("<f4").tobytes()
