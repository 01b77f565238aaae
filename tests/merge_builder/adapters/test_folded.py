from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from merge_builder.adapters.folded import FoldedTensor, LowRank, Rescaled
from merge_builder.checkpoints.tensor_file import TensorFile

ROWS, COLUMNS, RANK = 50, 3001, 3  # products are made in strips of 21 such rows


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> TensorFile:
    rng = np.random.default_rng(0)
    shapes = {
        "weight": (ROWS, COLUMNS),
        "a": (RANK, COLUMNS),
        "b": (ROWS, RANK),
        "a-transposed": (RANK, ROWS),
        "b-transposed": (COLUMNS, RANK),
        "by-row": (ROWS, 1),
        "by-column": (1, COLUMNS),
    }
    path: Path = tmp_path_factory.mktemp("folded") / "t.safetensors"
    save_file({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}, path)
    return TensorFile(path)


@pytest.fixture(scope="module", params=["lora", "transposed", "rows", "columns"])
def folded(request: pytest.FixtureRequest, file: TensorFile) -> tuple[FoldedTensor, np.ndarray]:
    """A folded tensor and what it is, computed densely in fp64."""
    t = file.tensors
    dense = {name: tensor.read().astype(float).reshape(tensor.shape) for name, tensor in t.items()}
    change, expected = {
        "lora": (
            LowRank(t["a"], t["b"], RANK, ROWS, COLUMNS, 0.5, False),
            dense["weight"] + 0.5 * dense["b"] @ dense["a"],
        ),
        "transposed": (
            LowRank(t["a-transposed"], t["b-transposed"], RANK, ROWS, COLUMNS, 2.0, True),
            dense["weight"] + 2 * (dense["b-transposed"] @ dense["a-transposed"]).T,
        ),
        "rows": (Rescaled(t["by-row"], COLUMNS, True), dense["weight"] * dense["by-row"]),
        "columns": (Rescaled(t["by-column"], COLUMNS, False), dense["weight"] * dense["by-column"]),
    }[request.param]
    return FoldedTensor(t["weight"], change, file, "weight"), expected


@given(ends=st.tuples(st.integers(0, ROWS * COLUMNS), st.integers(0, ROWS * COLUMNS)))
def test_any_range_is_that_range_of_the_dense_tensor(
    folded: tuple[FoldedTensor, np.ndarray], ends: tuple[int, int]
) -> None:
    start, stop = sorted(ends)
    tensor, expected = folded
    values = tensor.read(start, stop)
    np.testing.assert_allclose(values, expected.reshape(-1)[start:stop], rtol=1e-5, atol=1e-5)
    assert values.tobytes() == tensor.read()[start:stop].tobytes()
