"""What a server on this machine is made for, checked as far as it can be before Ray starts."""

from pathlib import Path

from deploy.access import Access, check_access
from deploy.app_args import AppArgs
from deploy.memory import probe_memory
from deploy.sizing import Sizing, decide
from merge_builder.errors import InputError
from merge_builder.ladder import open_ladder
from serving.engine.types import Dtype

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def local_args(ladder: Path, sizing: Sizing, *, host: str, port: int, access: Access, dtype: Dtype) -> AppArgs:
    """The arguments of a deployment that serves `ladder` here, on a GPU where there is one.

    Raises:
        InputError: the ladder, the sizing or a key file is wrong, or int8 is asked for on a GPU.
    """
    gpu = _has_gpu()
    manifest = open_ladder(ladder).manifest
    if not gpu or sizing != Sizing():  # a GPU's memory is looked at by the process that will own it
        decide(manifest, sizing, probe_memory("cpu"))
    access = check_access(access, host)
    if dtype == "int8" and gpu:
        raise InputError("int8 computes on the CPU alone: hide the GPU (CUDA_VISIBLE_DEVICES=) or leave --dtype out")
    return AppArgs(
        ladder=ladder.resolve(),
        host=host,
        port=port,
        keys=access.keys,
        admin_keys=access.admin_keys,
        insecure=access.insecure,
        device="cuda" if gpu else "cpu",
        dtype=dtype,
    )


def _has_gpu() -> bool:
    if not NVIDIA_DRIVER.exists():
        return False  # without torch, which this process has no other use for: 140 MiB and a second
    import torch

    return bool(torch.cuda.is_available())
