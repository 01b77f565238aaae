from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.lengths import matrix_lengths, task_length

BASE = {
    "far": np.full((300, 400), 2.0, np.float32),
    "near": np.eye(20, dtype=np.float32),
    "still": np.ones((4, 5), np.float32),
    "zero": np.zeros((4, 5), np.float32),
    "vector": np.ones(7, np.float32),
}


def lengths_of(own: dict[str, np.ndarray], folder: Path) -> list[float]:
    files = []
    for name, weights in (("base", BASE), ("own", own)):
        save_file(weights, folder / name)
        files.append(TensorFile(folder / name))
    return matrix_lengths(*([file.tensors[name] for name in BASE] for file in files))


def test_a_length_is_how_far_a_matrix_moved_of_its_own_norm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    own = {name: values + rng.normal(size=values.shape).astype(np.float32) for name, values in BASE.items()}
    own["still"] = BASE["still"]
    expected = [
        np.linalg.norm(own[name].astype(float) - BASE[name]) / np.linalg.norm(BASE[name]) for name in ("far", "near")
    ]
    np.testing.assert_allclose(lengths_of(own, tmp_path), expected, rtol=1e-6)


def test_matrices_that_are_not_finite_tell_nothing(tmp_path: Path) -> None:
    own = {name: values.copy() for name, values in BASE.items()}
    own["far"][0, 0], own["near"][0, 0], own["still"][:] = np.nan, np.inf, 1.5
    assert lengths_of(own, tmp_path) == pytest.approx([0.5])


def test_a_task_is_as_long_as_its_median_matrix() -> None:
    assert task_length([0.9, 0.01, 0.02]) == 0.02
    assert task_length([]) == 0.0
