"""From the tensors of an inference request to the service's inputs."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serving.api.binary_tensors import read_strings, split_tensors
from serving.api.errors import MalformedText
from serving.api.protocol import InferRequest, InputTensor
from serving.errors import RequestError
from serving.inputs import Ids, ImageFile, Text

# The inputs of a task of texts, and of one of images, with their datatypes.
DATATYPES: Mapping[Literal["text", "image"], Mapping[str, str]] = {
    "text": {"text": "BYTES", "text_pair": "BYTES", "input_ids": "INT64", "attention_mask": "INT64"},
    "image": {"image": "BYTES"},
}


def read_inputs(
    request: InferRequest, rest: memoryview, datatypes: Mapping[str, str]
) -> Sequence[Text | Ids | ImageFile]:
    """`text` [N] with `text_pair` [N], or `input_ids` [N, S] with `attention_mask` [N, S], or `image` [N], as N inputs.

    `rest` are the bytes after the JSON. An image is its file's bytes, which are base64 where they are in the JSON.

    Raises:
        RequestError: a tensor is unknown, missing, or not of its type or shape; the message names it.
    """
    shares = split_tensors([tensor.parameters.binary_data_size for tensor in request.inputs], rest)
    tensors: dict[str, tuple[InputTensor, memoryview | None]] = {}
    for tensor, share in zip(request.inputs, shares, strict=True):
        if tensor.name not in datatypes:
            raise _error(tensor, f"is not an input of this model: it takes {', '.join(datatypes)}")
        if tensor.datatype != datatypes[tensor.name]:
            raise _error(tensor, f"has datatype {tensor.datatype!r}: it must be {datatypes[tensor.name]}")
        if tensor.name in tensors:
            raise _error(tensor, "is there twice")
        if (share is None) == (tensor.data is None):
            raise _error(tensor, "needs either data, or parameters.binary_data_size and its bytes after the JSON")
        if not prod(tensor.shape):
            raise _error(tensor, f"has shape {tensor.shape}: send at least one element")
        tensors[tensor.name] = tensor, share
    match sorted(tensors):
        case ["text"]:
            return [Text(text) for text in _strings(*tensors["text"])]
        case ["text", "text_pair"]:
            texts, pairs = _strings(*tensors["text"]), _strings(*tensors["text_pair"])
            _same_shape(tensors["text"][0], tensors["text_pair"][0])
            return [Text(text, pair) for text, pair in zip(texts, pairs, strict=True)]
        case ["image"]:
            return _images(*tensors["image"])
        case ["input_ids"]:
            return [Ids(tuple(row)) for row in _integers(*tensors["input_ids"]).tolist()]
        case ["attention_mask", "input_ids"]:
            ids, mask = _integers(*tensors["input_ids"]), _integers(*tensors["attention_mask"])
            _same_shape(tensors["input_ids"][0], tensors["attention_mask"][0])
            return [Ids(tuple(row[kept != 0].tolist())) for row, kept in zip(ids, mask, strict=True)]
        case names:
            raise RequestError(
                f"the inputs are {', '.join(names)}: send text, text and text_pair, input_ids, or input_ids and "
                "attention_mask",
                "inputs",
            )


def _strings(tensor: InputTensor, share: memoryview | None) -> list[str]:
    return [_string(tensor, place, element) for place, element in enumerate(_elements(tensor, share))]


def _elements(tensor: InputTensor, share: memoryview | None) -> list[object]:
    if len(tensor.shape) not in (1, 2) or prod(tensor.shape[1:]) != 1:
        raise _error(tensor, f"has shape {tensor.shape}: it must be [N], one {tensor.name} an input")
    found: list[object]
    if share is None:
        found = [element for item in tensor.data or () for element in (item if isinstance(item, list) else [item])]
    else:
        found = list(read_strings(share, tensor.name))
    if len(found) != tensor.shape[0]:
        raise _error(tensor, f"has {len(found)} elements and shape {tensor.shape}")
    return found


def _string(tensor: InputTensor, place: int, element: object) -> str:
    if isinstance(element, str):
        return element
    if not isinstance(element, bytes):
        raise _error(tensor, f"is no string at element {place}")
    try:
        return element.decode()
    except UnicodeDecodeError as error:
        raise MalformedText(f"input {tensor.name!r} is not valid UTF-8 at element {place}", tensor.name) from error


def _images(tensor: InputTensor, share: memoryview | None) -> list[ImageFile]:
    elements = _elements(tensor, share)
    if share is None:
        elements = [_from_base64(tensor, place, element) for place, element in enumerate(elements)]
    return [ImageFile(element) for element in elements if isinstance(element, bytes)]


def _from_base64(tensor: InputTensor, place: int, element: object) -> bytes:
    try:
        if isinstance(element, str):
            return b64decode(element, validate=True)
    except ValueError:
        pass
    raise _error(tensor, f"is not base64 at element {place}")


def _integers(tensor: InputTensor, share: memoryview | None) -> NDArray[np.int64]:
    if len(tensor.shape) != 2:
        raise _error(tensor, f"has shape {tensor.shape}: it must be [N, S], one row an input")
    if share is None:
        values = _nested_integers(tensor)
    elif len(share) == 8 * prod(tensor.shape):
        values = np.frombuffer(share, "<i8")
    else:
        raise _error(tensor, f"has {len(share)} bytes and shape {tensor.shape}: INT64 takes 8 bytes an element")
    if values.size != prod(tensor.shape):
        raise _error(tensor, f"has {values.size} elements and shape {tensor.shape}")
    return values.reshape(tensor.shape)


def _nested_integers(tensor: InputTensor) -> NDArray[np.int64]:
    try:
        values = np.array(tensor.data)
    except ValueError as error:
        raise _error(tensor, "has rows of different lengths") from error
    if values.dtype != np.int64:
        raise _error(tensor, "holds something else than 64-bit integers")
    return values


def _same_shape(one: InputTensor, other: InputTensor) -> None:
    if one.shape != other.shape:
        raise _error(other, f"has shape {other.shape} and {one.name!r} has {one.shape}: they must be the same")


def _error(tensor: InputTensor, problem: str) -> RequestError:
    return RequestError(f"input {tensor.name!r} {problem}", tensor.name)
