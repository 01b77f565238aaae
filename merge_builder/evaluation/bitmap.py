"""Which rows were predicted right, one bit a row, as text that a manifest holds."""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from merge_builder.errors import MergeLadderError

Right = NDArray[np.bool_]


def pack(right: Right) -> str:
    """Booleans of shape (rows,) as base64 of their bits, the first row in the highest bit."""
    return base64.b64encode(np.packbits(right).tobytes()).decode("ascii")


def unpack(text: str, rows: int) -> Right:
    """What `pack` was given.

    Raises:
        MergeLadderError: `text` does not hold exactly `rows` rows.
    """
    try:
        data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except binascii.Error as error:
        raise MergeLadderError("a score's row-by-row results are broken: evaluate the ladder again") from error
    bits = np.unpackbits(data)
    if len(data) != -(-rows // 8) or bits[rows:].any():
        raise MergeLadderError(f"a score tells of {rows} rows but holds other results: evaluate the ladder again")
    return bits[:rows].astype(np.bool_)
