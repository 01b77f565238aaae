import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from merge_builder.checkpoints import TensorWriter
from merge_builder.ladder.fields import TensorSpec

SPECS = [TensorSpec(name="a", dtype="F32", shape=(2, 3)), TensorSpec(name="b", dtype="F16", shape=(5,))]


def test_what_is_written_is_what_safetensors_reads(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.safetensors"
    a, b = np.arange(6, dtype=np.float32), np.arange(5, dtype=np.float16)
    with TensorWriter(path, SPECS) as writer:
        writer.write(a[:4])
        writer.write(a[4:])
        writer.write(b)
        digest = writer.finish()
    loaded = load_file(path)
    np.testing.assert_array_equal(loaded["a"], a.reshape(2, 3))
    np.testing.assert_array_equal(loaded["b"], b)
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "pt"}
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail_midway() -> None:
        with TensorWriter(tmp_path / "x.safetensors", SPECS) as writer:
            writer.write(np.zeros(6, np.float32))
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert list(tmp_path.iterdir()) == []


def test_a_short_write_is_never_published(tmp_path: Path) -> None:
    with TensorWriter(tmp_path / "x.safetensors", SPECS) as writer:
        writer.write(np.zeros(6, np.float32))
        with pytest.raises(ValueError, match="10 bytes"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []
