import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from merge_builder.checkpoints import open_checkpoint
from merge_builder.checkpoints.hub import resolve
from merge_builder.errors import InputError


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": np.ones(3, np.float32)}, tmp_path / "model-00002-of-00002.safetensors")
    weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return tmp_path


def test_shards_read_as_one_and_every_file_has_a_hash(sharded: Path) -> None:
    with open_checkpoint(sharded) as checkpoint:
        assert set(checkpoint.tensors) == {"a", "b"}
        np.testing.assert_array_equal(checkpoint.tensors["b"].read(), np.ones(3))
        assert set(checkpoint.hashes(dict.fromkeys(checkpoint.files, "0"))) == {p.name for p in sharded.iterdir()}


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match="model-00002-of-00002"):
        open_checkpoint(sharded)


def test_a_tensor_the_index_promises_must_be_there(sharded: Path) -> None:
    save_file({"c": np.ones(3, np.float32)}, sharded / "model-00002-of-00002.safetensors")
    with pytest.raises(InputError, match="'b'"):
        open_checkpoint(sharded)


def test_a_shard_outside_the_folder_is_refused(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    with pytest.raises(InputError, match="outside"):
        open_checkpoint(sharded)


def test_pickles_are_refused_with_the_way_to_convert(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match=r"pytorch_model\.bin.*save_pretrained"):
        open_checkpoint(tmp_path)


def test_a_folder_without_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json"):
        open_checkpoint(tmp_path)


def test_paths_are_found_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "models" / "x").mkdir(parents=True)
    assert resolve("models/x", tmp_path) == tmp_path / "models" / "x"
    with pytest.raises(InputError, match=r"\./nowhere"):
        resolve("./nowhere", tmp_path)


def test_a_hub_id_that_cannot_be_had_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"no-such/model-anywhere.*hf download no-such/model-anywhere"):
        resolve("no-such/model-anywhere", tmp_path)
