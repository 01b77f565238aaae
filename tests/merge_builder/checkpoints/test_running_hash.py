import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from merge_builder.checkpoints.running_hash import RunningHash
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(size=700_001).astype(np.float32)  # two steps and a bit
    save_file({"w": values}, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_it_is_the_files_hash_however_it_got_there(path: Path) -> None:
    expected, size = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
    for stops in ((), (size,), (5, 5, 3, 2_000_000, size, size), range(0, size, 99_991)):
        running = RunningHash(TensorFile(path))
        assert sum(running.advance(stop) for stop in stops) == max(stops, default=0)
        assert running.finish() == expected
    assert not running.busy


def test_threads_advance_it_together(path: Path) -> None:
    size = path.stat().st_size
    running = RunningHash(TensorFile(path))
    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(running.advance, sorted(range(0, size, 50_021), key=lambda stop: stop % 7)))
    assert sum(counted) + running.advance(size) == size
    assert running.finish() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_is_cut_short_meanwhile_is_named(path: Path) -> None:
    running = RunningHash(TensorFile(path))
    running.advance(100)
    os.truncate(path, 1_500_000)
    with pytest.raises(InputError, match=r"w\.safetensors ended early"):
        running.finish()
