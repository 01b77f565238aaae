"""From the service's results to the tensors of an inference response: those that a task of this kind has.

classification        logits, probabilities [N, labels], label [N]
token_classification  logits, probabilities [N, tokens, labels], label [N, tokens], offsets [N, tokens, 2]
question_answering    answer, score, start, end [N]
embedding             embedding [N, features]

Tokens are those of the longest input, special ones included: shorter ones are filled up with 0, "" and -1. `offsets`
are characters of the text, -1 where a token stands for none.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from merge_builder.ladder import Kind, kind_of
from merge_builder.ladder.manifest import Task
from serving.api.binary_tensors import write_strings
from serving.api.errors import InvalidRequest
from serving.api.protocol import InferRequest, Output, OutputTensor, TensorMetadata, TensorParameters
from serving.engine.types import Logits
from serving.inputs import Input, Text
from serving.result import Result, Window
from serving.scores import probabilities, softmax
from serving.tokens.spans import Span, best_spans

Array = NDArray[np.float32] | NDArray[np.int64] | NDArray[np.str_]
_DATATYPES: Mapping[Output, str] = {
    "logits": "FP32",
    "probabilities": "FP32",
    "label": "BYTES",
    "offsets": "INT64",
    "answer": "BYTES",
    "score": "FP32",
    "start": "INT64",
    "end": "INT64",
    "embedding": "FP32",
}


def describe_outputs(task: Task) -> list[TensorMetadata]:
    """The outputs of a task, with -1 for what depends on the request."""
    labels = len(task.labels)
    shapes: Mapping[Kind, Mapping[Output, list[int]]] = {
        "classification": {"logits": [-1, labels], "probabilities": [-1, labels], "label": [-1]},
        "token_classification": {
            "logits": [-1, -1, labels],
            "probabilities": [-1, -1, labels],
            "label": [-1, -1],
            "offsets": [-1, -1, 2],
        },
        "question_answering": {"answer": [-1], "score": [-1], "start": [-1], "end": [-1]},
        "embedding": {"embedding": [-1, -1]},
    }
    own = shapes[kind_of(task)]
    return [TensorMetadata(name=name, datatype=_DATATYPES[name], shape=shape) for name, shape in own.items()]


def find_outputs(result: Result, task: Task, inputs: Sequence[Input], max_answer_len: int) -> dict[Output, Array]:
    """Every output of the task, by name."""
    match kind_of(task):
        case "classification":
            return _labelled(result.logits[task.name], probabilities(result.logits[task.name], task), task)
        case "embedding":
            return {"embedding": result.logits[task.name]}
        case "token_classification":
            return _by_token([window for [window] in result.windows[task.name]], task)
        case "question_answering":
            best = [best_spans(windows, 1, max_answer_len) for windows in result.windows[task.name]]
            return _answers([spans[0] if spans else Span(0, 0, 0.0) for spans in best], inputs)


def write_outputs(request: InferRequest, found: Mapping[Output, Array]) -> tuple[list[OutputTensor], bytes]:
    """The outputs asked for, in the order asked (all, if none was), and the bytes of those that are binary.

    Raises:
        InvalidRequest: one is none of this task's.
    """
    asked: dict[Output, bool | None] = {output.name: output.parameters.binary_data for output in request.outputs}
    tensors: list[OutputTensor] = []
    chunks: list[bytes] = []
    for name, binary in (asked or dict.fromkeys(found)).items():
        if name not in found:
            raise InvalidRequest(f"output {name!r} is none of this model's: it has {', '.join(found)}", "outputs")
        tensor = OutputTensor(name=name, datatype=_DATATYPES[name], shape=list(found[name].shape))
        flat = found[name].ravel()
        if request.parameters.binary_data_output if binary is None else binary:
            chunks.append(_bytes(flat))
            tensor = tensor.model_copy(update={"parameters": TensorParameters(binary_data_size=len(chunks[-1]))})
        else:
            tensor = tensor.model_copy(update={"data": flat.tolist()})
        tensors.append(tensor)
    return tensors, b"".join(chunks)


def _bytes(flat: Array) -> bytes:
    if flat.dtype.kind in "UO":
        return write_strings(flat.tolist())
    return flat.astype(flat.dtype.newbyteorder("<")).tobytes()


def _labelled(logits: Logits, scores: Logits, task: Task) -> dict[Output, Array]:
    labels = np.array(task.labels, object)[logits.argmax(axis=-1)]
    return {"logits": logits, "probabilities": scores, "label": labels}


def _by_token(windows: Sequence[Window], task: Task) -> dict[Output, Array]:
    rows, longest = len(windows), max(len(window.logits) for window in windows)
    logits = np.zeros((rows, longest, len(task.labels)), np.float32)
    scores, offsets = np.zeros_like(logits), np.full((rows, longest, 2), -1, np.int64)
    labels = np.full((rows, longest), "", object)
    for row, window in enumerate(windows):
        own = slice(len(window.logits))
        found = _labelled(window.logits, softmax(window.logits), task)
        logits[row, own], scores[row, own], labels[row, own] = found.values()
        if window.aligned is not None:
            special = np.array(window.aligned.special_tokens_mask, bool)[:, None]
            offsets[row, own] = np.where(special, -1, window.aligned.offsets)
    return {"logits": logits, "probabilities": scores, "label": labels, "offsets": offsets}


def _answers(spans: Sequence[Span], inputs: Sequence[Input]) -> dict[Output, Array]:
    contexts = [item.pair or "" if isinstance(item, Text) else "" for item in inputs]
    answers = [context[span.start : span.end] for context, span in zip(contexts, spans, strict=True)]
    return {
        "answer": np.array(answers, object),
        "score": np.array([span.score for span in spans], np.float32),
        "start": np.array([span.start for span in spans], np.int64),
        "end": np.array([span.end for span in spans], np.int64),
    }
