import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from merge_builder.checkpoints.placed_writer import PlacedWriter
from merge_builder.ladder.fields import TensorSpec

SPECS = (TensorSpec(name="wide", dtype="F32", shape=(2, 3)), TensorSpec(name="bits", dtype="U8", shape=(2, 2)))


def test_pieces_in_any_order_make_the_file(tmp_path: Path) -> None:
    path = tmp_path / "blocks" / "v.safetensors"
    with PlacedWriter(path, SPECS) as writer:
        writer.write("bits", 2, np.array([3, 4], np.uint8))
        writer.write("wide", 8, np.arange(2, 6, dtype=np.float32))
        writer.write("wide", 0, np.arange(2, dtype=np.float32))
        writer.write("bits", 0, np.array([1, 2], np.uint8))
        assert not path.exists()
        digest = writer.finish()
    tensors = load_file(path)
    np.testing.assert_array_equal(tensors["wide"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(tensors["bits"], [[1, 2], [3, 4]])
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_not_whole_leaves_nothing(tmp_path: Path) -> None:
    with PlacedWriter(tmp_path / "v.safetensors", SPECS) as writer:
        writer.write("wide", 0, np.zeros(6, np.float32))
        with pytest.raises(ValueError, match="4 bytes"):
            writer.finish()
    assert not list(tmp_path.iterdir())
