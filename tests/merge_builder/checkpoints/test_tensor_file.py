import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError


def test_reads_any_range_of_any_dtype(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = {
        "f32": rng.normal(size=(5, 7)).astype(np.float32),
        "f16": rng.normal(size=(3, 4)).astype(np.float16),
        "bf16": rng.normal(size=11).astype(ml_dtypes.bfloat16),
        "i64": np.arange(6).reshape(1, 6),
        "empty": np.zeros((0, 4), np.float32),
    }
    save_file(values, tmp_path / "x.safetensors")
    file = TensorFile(tmp_path / "x.safetensors")
    for name, expected in values.items():
        tensor = file.tensors[name]
        assert tensor.shape == expected.shape
        assert tensor.nbytes == expected.nbytes
        np.testing.assert_array_equal(tensor.read(), expected.ravel())
        np.testing.assert_array_equal(tensor.read(1, 3) if expected.size else tensor.read(), expected.ravel()[1:3])
    file.close()


@pytest.mark.parametrize("cut", [0, 4, 30, -1])
def test_a_truncated_file_is_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": np.ones((4, 4), np.float32)}, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"x\.safetensors"):
        TensorFile(path)


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"[]",
        json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}).encode(),
        json.dumps({"w": {"dtype": "Q7", "shape": [1], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"w": {"shape": [1]}}).encode(),
    ],
)
def test_a_malformed_header_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(InputError):
        TensorFile(path)


def test_a_file_that_shrinks_while_open_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": np.ones(1000, np.float32)}, path)
    file = TensorFile(path)
    with path.open("r+b") as handle:
        handle.truncate(200)
    with pytest.raises(InputError, match="ended early"):
        file.tensors["w"].read()
