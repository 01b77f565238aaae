"""The binary tensor extension against tritonclient's own serialisation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from serving.api.binary_tensors import read_strings, split_body, split_tensors, write_strings
from serving.errors import RequestError

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)


@given(texts)
def test_strings_are_read_as_tritonclient_writes_them(elements: list[str]) -> None:
    theirs = serialize_byte_tensor(np.array([e.encode() for e in elements], dtype=object)).item()

    assert read_strings(memoryview(theirs), "text") == [e.encode() for e in elements]


@given(texts)
def test_strings_are_written_as_tritonclient_reads_them(elements: list[str]) -> None:
    assert [e.decode() for e in deserialize_bytes_tensor(write_strings(elements))] == elements


@pytest.mark.parametrize("data", [b"\x01", b"\x05\0\0\0abc", b"\x01\0\0\0a\xff\xff\xff\xff", b"\x01\0\0\0a\0\0"])
def test_lengths_beyond_the_tensor_are_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match=r"text: element \d is longer than its tensor"):
        read_strings(memoryview(data), "text")


def test_the_body_is_split_where_the_header_says() -> None:
    assert [bytes(part) for part in split_body(b"{}abc", "2")] == [b"{}", b"abc"]
    assert [bytes(part) for part in split_body(b"{}abc", None)] == [b"{}abc", b""]
    assert [bytes(part) for part in split_body(b"{}", "2")] == [b"{}", b""]


@pytest.mark.parametrize("length", ["6", "-1", "x", "", "9" * 30, "²"])
def test_a_header_length_that_cannot_be_is_refused(length: str) -> None:
    with pytest.raises(RequestError, match="Inference-Header-Content-Length"):
        split_body(b"{}abc", length)


def test_tensors_are_split_by_their_sizes() -> None:
    shares = split_tensors([2, None, 0, 1], memoryview(b"abc"))

    assert [share if share is None else bytes(share) for share in shares] == [b"ab", None, b"", b"c"]
    for sizes in ([2], [2, 2], []):
        with pytest.raises(RequestError, match="binary_data_size"):
            split_tensors(sizes, memoryview(b"abc"))
