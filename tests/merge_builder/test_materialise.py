"""Masked versions of one block, of tensors longer than a stretch and of sizes that fill no byte."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.materialise import NOBODY, BlockInput, Merging, Stored, write_versions
from merge_builder.methods import check_parameters, find_method
from merge_builder.similarity import chunk_size

from .methods.test_emr import dense_emr

SHAPES = {"long": (7, 10_003), "odd": (5,), "one": (1,)}
TASKS = ("a", "b", "c")
Weights = dict[str, np.ndarray]


@pytest.fixture
def experts() -> list[Weights]:
    """The base, then three experts; `c` has not moved in two tensors."""
    rng = np.random.default_rng(0)
    base = {name: (rng.integers(-64, 64, shape) / 64).astype(np.float32) for name, shape in SHAPES.items()}
    experts = [
        {n: w + (rng.integers(-32, 32, w.shape) / 256).astype(np.float32) for n, w in base.items()} for _ in TASKS
    ]
    experts[2] |= {"odd": base["odd"], "one": base["one"]}
    return [base, *experts]


def _block(folder: Path, models: list[Weights], dtype: str | None = None) -> BlockInput:
    files = []
    for number, weights in enumerate(models):
        save_file(weights, folder / f"{number}.safetensors")
        files.append(TensorFile(folder / f"{number}.safetensors"))
    base, *experts = ([file.tensors[name] for name in SHAPES] for file in files)
    return BlockInput("block", tuple(SHAPES), base, experts, dtype=dtype)


def _write(block: BlockInput, path: Path, method: str) -> Weights:
    assert block.base[0].size > chunk_size(2 * len(TASKS) + 2)
    how = Merging(find_method(method), check_parameters(find_method(method), {}), TASKS)
    write_versions(block, {(0, 1, 2): Stored("masked", path)}, how, lambda _: None)
    return load_file(path)


def _weights(base: np.ndarray, stored: Weights, name: str, task: int) -> np.ndarray:
    """The file's own description, written out."""
    bits = np.unpackbits(stored[f"masks:{name}"][task], bitorder="little")
    assert not bits[base.size :].any()
    mask = bits[: base.size].reshape(base.shape)
    return base + stored["rescalers"][task].astype(np.float64) * mask * stored[name]


def test_emr_over_a_block_is_the_dense_formula(tmp_path: Path, experts: list[Weights]) -> None:
    stored = _write(_block(tmp_path, experts), tmp_path / "v.safetensors", "emr")
    base = experts[0]
    assert {name: stored[name].shape for name in SHAPES} == SHAPES
    vectors = {n: np.stack([own[n].astype(float) - base[n] for own in experts[1:]]).reshape(3, -1) for n in SHAPES}
    dense = {name: dense_emr(vector) for name, vector in vectors.items()}
    for task in range(3):
        own = sum(np.abs(vectors[name][task]).sum() for name in SHAPES)
        shared = sum(np.abs(masks[task] * unified).sum() for unified, masks in dense.values())
        for name, (unified, masks) in dense.items():
            expected = base[name].ravel() + own / shared * masks[task] * unified
            np.testing.assert_allclose(_weights(base[name], stored, name, task).ravel(), expected, atol=1e-6)


def test_the_mean_and_not_the_masks_of_consensus_is_shared(tmp_path: Path, experts: list[Weights]) -> None:
    stored = _write(_block(tmp_path, experts), tmp_path / "v.safetensors", "consensus")
    np.testing.assert_array_equal(stored["rescalers"], [1, 1, 1])
    for name in SHAPES:
        vectors = np.stack([own[name].astype(float) - experts[0][name] for own in experts[1:]])
        np.testing.assert_allclose(stored[name], vectors.mean(axis=0), atol=1e-6)
    assert 0 < np.unpackbits(stored["masks:long"]).mean() < 1


def test_a_task_that_did_not_move_stays_at_the_base(tmp_path: Path, experts: list[Weights]) -> None:
    still = [*experts[:3], experts[0]]
    stored = _write(_block(tmp_path, still), tmp_path / "v.safetensors", "emr")
    assert np.isfinite(stored["rescalers"]).all()
    for name in SHAPES:
        np.testing.assert_array_equal(_weights(experts[0][name], stored, name, 2), experts[0][name])


@pytest.mark.parametrize("dtype", [None, "BF16"])
def test_dtypes_of_the_base_and_of_the_shared_vector(tmp_path: Path, experts: list[Weights], dtype: str | None) -> None:
    halves = [{name: w.astype(ml_dtypes.bfloat16) for name, w in own.items()} for own in experts[1:]]
    block = _block(tmp_path, [experts[0], *halves], dtype)
    how = Merging(find_method("emr"), {}, TASKS)
    versions = {NOBODY: Stored("base", tmp_path / "b"), (0, 1, 2): Stored("masked", tmp_path / "m")}
    write_versions(block, versions, how, lambda _: None)
    base, masked = load_file(tmp_path / "b"), load_file(tmp_path / "m")
    for name in SHAPES:
        assert masked[name].dtype == ml_dtypes.bfloat16
        assert base[name].dtype == (np.float32 if dtype is None else ml_dtypes.bfloat16)
        np.testing.assert_array_equal(base[name].astype(np.float32), experts[0][name])  # 64ths fit into bfloat16
