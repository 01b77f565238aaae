import json
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from merge_builder.checkpoints import open_checkpoint
from merge_builder.checkpoints.sharded_writer import split_into_shards, write_weights
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.ladder.fields import TensorSpec


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), limit=st.integers(1, 40))
def test_shards_hold_what_the_hubs_own_library_puts_into_them(sizes: list[int], limit: int) -> None:
    small = [size if 4 * size <= limit else 1 for size in sizes]  # the library puts too large tensors out of order
    specs = [TensorSpec(name=f"t{i}", dtype="F32", shape=(size,)) for i, size in enumerate(small)]
    ours = [[spec.name for spec in shard] for shard in split_into_shards(specs, max(limit, 4))]
    weights = {f"t{i}": torch.zeros(size) for i, size in enumerate(small)}
    theirs = split_torch_state_dict_into_shards(weights, max_shard_size=max(limit, 4))
    assert ours == list(theirs.filename_to_tensors.values())


def test_a_tensor_above_the_limit_has_a_shard_of_its_own() -> None:
    specs = [TensorSpec(name=name, dtype="F32", shape=(size,)) for name, size in (("a", 1), ("big", 9), ("b", 1))]
    assert [[spec.name for spec in shard] for shard in split_into_shards(specs, 8)] == [["a"], ["big"], ["b"]]


@pytest.mark.parametrize(("limit", "files"), [(100, 3), (10_000, 1)])
def test_shards_are_a_checkpoint(tmp_path: Path, limit: int, files: int) -> None:
    rng = np.random.default_rng(0)
    weights = {f"t{i}": rng.normal(size=(5, 4)).astype(np.float32) for i in range(3)}
    save_file(weights, tmp_path / "source.safetensors")
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.json").write_text("{}")
    write_weights(out, TensorFile(tmp_path / "source.safetensors").tensors, limit)
    with open_checkpoint(out) as checkpoint:
        assert len(checkpoint.files) == files
        assert {n: t.read().tobytes() for n, t in checkpoint.tensors.items()} == {
            n: w.tobytes() for n, w in weights.items()
        }
    if files > 1:
        index = json.loads((out / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == 3 * 80
        assert set(index["weight_map"].values()) == {f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}
