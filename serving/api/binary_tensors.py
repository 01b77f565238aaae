"""The binary tensor extension: after the JSON come the tensors' bytes, one after the other, little-endian.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import struct
from collections.abc import Iterable

from serving.api.errors import InvalidRequest
from serving.errors import RequestError

HEADER_LENGTH = "Inference-Header-Content-Length"


def split_body(body: bytes, header_length: str | None) -> tuple[memoryview, memoryview]:
    """The JSON and the bytes after it; `header_length` is the value of the header that tells where the JSON ends.

    Raises:
        InvalidRequest: it is no length, or longer than the body.
    """
    whole = memoryview(body)
    if header_length is None:
        return whole, whole[len(whole) :]
    if not header_length.isdecimal() or len(header_length) > 12 or int(header_length) > len(whole):
        raise InvalidRequest(f"{HEADER_LENGTH} must be at most the body's length, {len(whole)}", HEADER_LENGTH)
    return whole[: int(header_length)], whole[int(header_length) :]


def split_tensors(sizes: Iterable[int | None], rest: memoryview) -> list[memoryview | None]:
    """Each tensor's share of `rest`; None for those whose size is None.

    Raises:
        InvalidRequest: the sizes do not add up to what there is.
    """
    told = list(sizes)
    if (total := sum(size or 0 for size in told)) != len(rest):
        raise InvalidRequest(
            f"the inputs' binary_data_size add up to {total} and {len(rest)} bytes follow the JSON", "inputs"
        )
    shares: list[memoryview | None] = []
    for size in told:
        shares.append(None if size is None else rest[:size])
        rest = rest[size or 0 :]
    return shares


def read_strings(data: memoryview, name: str) -> list[bytes]:
    """The elements of a BYTES tensor: each is its length in four bytes, then itself.

    Raises:
        RequestError: the lengths do not add up.
    """
    elements: list[bytes] = []
    position = 0
    while position < len(data):
        end = position + 4
        if end <= len(data):
            end += struct.unpack_from("<I", data, position)[0]
        if end > len(data):
            raise RequestError(f"{name}: element {len(elements)} is longer than its tensor", name)
        elements.append(bytes(data[position + 4 : end]))
        position = end
    return elements


def write_strings(elements: Iterable[str]) -> bytes:
    """A BYTES tensor, as `read_strings` reads it."""
    encoded = [element.encode() for element in elements]
    return b"".join(struct.pack("<I", len(element)) + element for element in encoded)
