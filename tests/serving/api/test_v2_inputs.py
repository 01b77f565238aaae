"""Tensors to inputs: what is understood and what is refused."""

import struct
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest

from serving.api.protocol import InferRequest
from serving.api.v2_inputs import DATATYPES, read_inputs
from serving.errors import RequestError
from serving.inputs import Ids, ImageFile, Text


def tensor(name: str, datatype: str, shape: list[int], data: object = None, size: int | None = None) -> dict:
    parameters = {} if size is None else {"binary_data_size": size}
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": parameters, "data": data}


def read(
    *tensors: dict, rest: bytes = b"", kind: Literal["text", "image"] = "text"
) -> Sequence[Text | Ids | ImageFile]:
    return read_inputs(InferRequest.model_validate({"inputs": list(tensors)}), memoryview(rest), DATATYPES[kind])


def test_texts() -> None:
    pair = tensor("text_pair", "BYTES", [2], ["c", "d"])

    assert read(tensor("text", "BYTES", [2], ["a", "b"])) == [Text("a"), Text("b")]
    assert read(tensor("text", "BYTES", [2, 1], [["a"], ["b"]])) == [Text("a"), Text("b")]
    assert read(pair, tensor("text", "BYTES", [2], ["a", "b"])) == [Text("a", "c"), Text("b", "d")]


def test_ids_with_and_without_a_mask() -> None:
    ids = tensor("input_ids", "INT64", [2, 3], [[2, 5, 3], [2, 3, 0]])
    flat = tensor("input_ids", "INT64", [2, 3], [2, 5, 3, 2, 3, 0])
    mask = tensor("attention_mask", "INT64", [2, 3], [[1, 1, 1], [1, 1, 0]])

    assert read(ids) == read(flat) == [Ids((2, 5, 3)), Ids((2, 3, 0))]
    assert read(ids, mask) == [Ids((2, 5, 3)), Ids((2, 3))]


def test_binary_and_json_tensors_side_by_side() -> None:
    ids = np.array([[2, 5, 3]], "<i8").tobytes()
    mask = tensor("attention_mask", "INT64", [1, 3], [1, 0, 1])

    assert read(mask, tensor("input_ids", "INT64", [1, 3], size=24), rest=ids) == [Ids((2, 3))]


A_TEXT = tensor("text", "BYTES", [1], ["a"])
BAD = [
    ([tensor("prompt", "BYTES", [1], ["a"])], b"", "input 'prompt' is not an input of this model"),
    ([tensor("text", "FP32", [1], [1.0])], b"", "input 'text' has datatype 'FP32': it must be BYTES"),
    ([A_TEXT, A_TEXT], b"", "input 'text' is there twice"),
    ([tensor("text", "BYTES", [1])], b"", "input 'text' needs either data"),
    ([tensor("text", "BYTES", [1], ["a"], size=5)], b"\1\0\0\0a", "input 'text' needs either data"),
    ([tensor("text", "BYTES", [0], [])], b"", r"input 'text' has shape \[0\]"),
    ([tensor("text", "BYTES", [2], ["a"])], b"", r"input 'text' has 1 elements and shape \[2\]"),
    ([tensor("text", "BYTES", [1, 2], ["a", "b"])], b"", r"input 'text' has shape \[1, 2\]"),
    ([tensor("text", "BYTES", [], ["a"])], b"", r"input 'text' has shape \[\]"),
    ([tensor("text", "BYTES", [1], [7])], b"", "input 'text' is no string at element 0"),
    (
        [tensor("text", "BYTES", [1], size=5)],
        struct.pack("<I", 1) + b"\xff",
        "input 'text' is not valid UTF-8 at element 0",
    ),
    ([tensor("text_pair", "BYTES", [1], ["a"])], b"", "the inputs are text_pair"),
    ([A_TEXT, tensor("input_ids", "INT64", [1, 1], [2])], b"", "the inputs are input_ids, text"),
    (
        [A_TEXT, tensor("text_pair", "BYTES", [2], ["a", "b"])],
        b"",
        r"input 'text_pair' has shape \[2\] and 'text' has \[1\]",
    ),
    ([tensor("input_ids", "INT64", [2], [2, 3])], b"", r"input 'input_ids' has shape \[2\]: it must be \[N, S\]"),
    ([tensor("input_ids", "INT64", [1, 2], [2, 3.5])], b"", "input 'input_ids' holds something else than"),
    ([tensor("input_ids", "INT64", [1, 1], [2**64])], b"", "input 'input_ids' holds something else than"),
    ([tensor("input_ids", "INT64", [1, 1], ["2"])], b"", "input 'input_ids' holds something else than"),
    ([tensor("input_ids", "INT64", [2, 2], [[2, 3], [2]])], b"", "input 'input_ids' has rows of different lengths"),
    ([tensor("input_ids", "INT64", [1, 3], [2, 3])], b"", "input 'input_ids' has 2 elements"),
    ([tensor("input_ids", "INT64", [1, 3], size=16)], b"\0" * 16, "input 'input_ids' has 16 bytes"),
    ([A_TEXT], b"left over", "9 bytes follow the JSON"),
]


@pytest.mark.parametrize(("tensors", "rest", "told"), BAD)
def test_bad_tensors_are_named(tensors: list[dict], rest: bytes, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        read(*tensors, rest=rest)


def test_images_in_binary_and_as_base64() -> None:
    files = [b"\x89PNG\r\n", b"\xff\xd8\xff\x00"]
    binary = b"".join(struct.pack("<I", len(file)) + file for file in files)
    encoded = tensor("image", "BYTES", [2], ["iVBORw0K", "/9j/AA=="])

    assert read(encoded, kind="image") == [ImageFile(file) for file in files]
    told = tensor("image", "BYTES", [2, 1], size=len(binary))
    assert read(told, rest=binary, kind="image") == [ImageFile(file) for file in files]


@pytest.mark.parametrize(
    ("given", "kind", "problem"),
    [
        (tensor("image", "BYTES", [2], ["aGk=", "-_!"]), "image", "'image' is not base64 at element 1"),
        (tensor("image", "BYTES", [1], [7]), "image", "'image' is not base64 at element 0"),
        (tensor("image", "BYTES", [2], ["aGk="]), "image", "'image' has 1 elements"),
        (tensor("image", "BYTES", [1, 3, 2], ["aGk="]), "image", "one image an input"),
        (tensor("image", "UINT8", [1], [7]), "image", "must be BYTES"),
        (tensor("text", "BYTES", [1], ["a"]), "image", "it takes image$"),
        (tensor("image", "BYTES", [1], ["aGk="]), "text", "it takes text, text_pair"),
    ],
)
def test_images_that_are_refused(given: dict, kind: Literal["text", "image"], problem: str) -> None:
    with pytest.raises(RequestError, match=problem) as refused:
        read(given, kind=kind)
    assert refused.value.param == given["name"]
