"""What a server on this machine is made for."""

from pathlib import Path

import pytest
import torch

from deploy import local_args as module
from deploy.access import OPEN, Access
from deploy.app import build
from deploy.local_args import local_args
from deploy.sizing import Sizing
from merge_builder.errors import InputError
from serving.api.keys import hash_key


def made(ladder, access: Access = OPEN, host: str = "127.0.0.1", dtype: str = "float32"):
    return local_args(ladder.root, Sizing(rung="1"), host=host, port=8000, access=access, dtype=dtype)


def test_what_access_was_given_is_in_the_deployment(ladder, tmp_path, monkeypatch):
    (tmp_path / "keys").write_text(hash_key("alice", "k" * 20))
    monkeypatch.chdir(tmp_path)  # a replica runs elsewhere
    guarded = made(ladder, Access(keys=Path("keys")), "0.0.0.0")
    assert (guarded.keys, guarded.insecure) == (tmp_path / "keys", False)
    for args in (guarded, made(ladder, Access(insecure=True), "0.0.0.0"), made(ladder)):
        assert build(args)  # a Serve configuration may say the same


def test_eight_bits_are_for_machines_without_a_gpu(ladder, tmp_path, monkeypatch):
    assert (made(ladder, dtype="int8").device, made(ladder, dtype="int8").dtype) == ("cpu", "int8")
    monkeypatch.setattr(module, "NVIDIA_DRIVER", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert made(ladder).device == "cuda"
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES"):
        made(ladder, dtype="int8")
