from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from merge_builder import similarity
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.similarity import cosine, gram


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_gram_is_the_product_of_the_task_vectors(tmp_path: Path, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "chunk_size", lambda _: 100)  # several chunks, the last one short
    rng = np.random.default_rng(0)
    models = [{"w": rng.normal(size=(13, 20)).astype(dtype), "b": rng.normal(size=7).astype(dtype)} for _ in range(5)]
    files = []
    for index, model in enumerate(models):
        save_file(model, tmp_path / f"{index}.safetensors")
        files.append(TensorFile(tmp_path / f"{index}.safetensors"))
    read: list[int] = []
    tensors = [[file.tensors["w"], file.tensors["b"]] for file in files]
    found = gram(tensors[0], tensors[1:], read.append)
    flat = [np.concatenate([m["w"].ravel(), m["b"]]).astype(np.float64) for m in models]
    vectors = np.array([vector - flat[0] for vector in flat[1:]])
    np.testing.assert_allclose(found, vectors @ vectors.T, rtol=1e-12)
    assert sum(read) == 5 * 267 * np.dtype(dtype).itemsize


def test_cosine_of_zero_vectors() -> None:
    vectors = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0], [-6.0, -8.0]])
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]]
    np.testing.assert_array_equal(cosine(vectors @ vectors.T), expected)
