import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.materialise import BlockInput
from merge_builder.methods import find_method
from merge_builder.progress import silent
from merge_builder.survey import Survey, survey

TASKS = ("a", "b")
# Sizes that fill several chunks, so that blocks take their time; "head" is in no block.
SHAPES = {"first": (700, 900), "second": (300, 500), "third": (40,), "head": (9, 7)}


@pytest.fixture
def models(tmp_path: Path) -> list[TensorFile]:
    """The base and two experts, one of them with its tensors the other way round."""
    rng = np.random.default_rng(0)
    base = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    files = []
    for number in range(3):
        own = {name: w + (number > 0) * 0.1 * rng.normal(size=w.shape).astype(np.float32) for name, w in base.items()}
        if number == 2:
            own = {f"{k}.{name}": own[name] for k, name in enumerate(sorted(own, reverse=True))}
        save_file(own, tmp_path / f"{number}")
        files.append(TensorFile(tmp_path / f"{number}"))
    return files


def _blocks(models: list[TensorFile]) -> list[BlockInput]:
    def found(file: TensorFile, name: str):
        return next(tensor for key, tensor in file.tensors.items() if key.endswith(name))

    def block(names: tuple[str, ...]) -> BlockInput:
        base, *experts = ([found(model, name) for name in names] for model in models)
        return BlockInput(names[0], names, base, experts)

    return [block(("third",)), block(("first", "second"))]  # not as they lie in the files


def _survey(models: list[TensorFile], method: str, workers: int) -> Survey:
    return survey(
        _blocks(models), models, TASKS, find_method(method), allow_nonfinite=False, workers=workers, progress=silent
    )


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_file_is_hashed_whole_and_every_block_compared(models: list[TensorFile], workers: int) -> None:
    found = _survey(models, "blend", workers)
    for file in models:
        assert found.sha256[file] == hashlib.sha256(file.path.read_bytes()).hexdigest()
    for block, matrix in zip(_blocks(models), found.grams, strict=True):
        vectors = [
            np.concatenate([(t.read().astype(float) - o.read()).ravel() for t, o in zip(own, block.base, strict=True)])
            for own in block.experts
        ]
        np.testing.assert_allclose(matrix, np.array(vectors) @ np.array(vectors).T, rtol=1e-6)


def test_what_is_measured_is_what_the_method_asks(models: list[TensorFile]) -> None:
    assert _survey(models, "average", 2).measured == {}
    lengths = _survey(models, "blend", 2).measured["lengths"]
    ratios = [
        sorted(
            np.linalg.norm(own.read().astype(float) - base.read()) / np.linalg.norm(base.read().astype(float))
            for base, own in zip(block.base, block.experts[0], strict=True)
        )
        for block in _blocks(models)[1:]
    ]
    assert lengths[0] == pytest.approx(np.median(ratios))
    magnitudes = _survey(models, "ties", 2).measured["magnitudes"]
    assert [int(of_task.counts.sum()) for of_task in magnitudes] == [700 * 900 + 300 * 500 + 40] * 2
