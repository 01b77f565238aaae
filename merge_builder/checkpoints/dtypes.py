"""safetensors' dtype names as numpy dtypes."""

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from merge_builder.errors import InputError

NUMPY: dict[str, np.dtype[Any]] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
FLOATS = ("F64", "F32", "F16", "BF16")
# What people and config.json call them.
BY_COMMON_NAME = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy dtype of a safetensors dtype name.

    Raises:
        InputError: a dtype that is not read here, such as the 8-bit floats.
    """
    if name not in NUMPY:
        raise InputError(f"dtype {name} is not supported: convert the checkpoint to one of {', '.join(FLOATS)}")
    return NUMPY[name]


def widest(dtypes: list[str]) -> str:
    """The float dtype that holds values of all `dtypes`: F16 beside BF16 needs F32."""
    kinds = set(dtypes)
    return dtypes[0] if len(kinds) == 1 else "F64" if "F64" in kinds else "F32"


def cast(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """fp32 `values` in the stored dtype, without a copy where it is fp32 already."""
    return values.astype(numpy_dtype(dtype), copy=False)
