"""A transformers checkpoint folder, opened lazily: config.json and one or several safetensors files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from merge_builder.checkpoints.files import read_json, sha256_of
from merge_builder.checkpoints.stored_tensor import StoredTensor
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError

ADAPTER_CONFIG = "adapter_config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class Checkpoint:
    """An open checkpoint.

    Attributes:
        path: its folder.
        config: its config.json.
        tensors: names to lazily read tensors.
        files: the open files that hold them.
        described_by: the names of the JSON files that were read.
        prefix: what its files put before the canonical names of the base model's tensors; known once normalised.
    """

    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]
    files: tuple[TensorFile, ...]
    described_by: tuple[str, ...]
    prefix: str = ""

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for file in self.files:
            file.close()

    def hashes(self, weights: Mapping[TensorFile, str]) -> dict[str, str]:
        """The sha256 of every file that was read, by name; `weights` holds those of `files`."""
        own = {name: sha256_of(self.path / name) for name in self.described_by}
        return own | {file.path.name: weights[file] for file in self.files}


def open_checkpoint(path: Path) -> Checkpoint:
    """Open the checkpoint in the folder `path`.

    Raises:
        InputError: no config, no safetensors (pickles are refused), a shard that is missing, cut short or
            not what the index says.
    """
    if is_adapter(path):
        base = read_json(path / ADAPTER_CONFIG).get("base_model_name_or_path")
        raise InputError(
            f"{path} is an adapter, not a whole model: as a base, name the model it was trained on"
            + (f", {base!r}" if base else "")
        )
    config = read_json(path / "config.json", "every checkpoint folder has one")
    names = _weight_files(path)
    files: list[TensorFile] = []
    try:
        for name in names:
            files.append(TensorFile(path / name))
        tensors = _merge_tables(path, files)
    except BaseException:
        for file in files:
            file.close()
        raise
    described_by = ("config.json", INDEX) if _is_sharded(path) else ("config.json",)
    return Checkpoint(path, MappingProxyType(config), MappingProxyType(tensors), tuple(files), described_by)


def is_adapter(path: Path) -> bool:
    """Whether the folder `path` holds a PEFT adapter, and no whole model beside it."""
    whole = (path / SINGLE).is_file() or _is_sharded(path)
    return (path / ADAPTER_CONFIG).is_file() and not whole


def _is_sharded(path: Path) -> bool:
    return (path / INDEX).is_file() and not (path / SINGLE).is_file()


def _weight_files(path: Path) -> list[str]:
    if (path / SINGLE).is_file():
        return [SINGLE]
    if _is_sharded(path):
        weight_map = read_json(path / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise InputError(f"{path / INDEX} has no weight_map: save the checkpoint again")
        shards = sorted({str(shard) for shard in weight_map.values()})
        for shard in shards:
            if Path(shard).name != shard:
                raise InputError(f"{path / INDEX} names the shard {shard!r} outside its own folder")
            if not (path / shard).is_file():
                raise InputError(f"{path} lacks the shard {shard}, which its index names")
        return shards
    pickles = sorted(found.name for pattern in _PICKLES for found in path.glob(pattern))
    if pickles:
        raise InputError(
            f"{path} holds pickled weights ({pickles[0]}), which can run code when they are read, and no "
            "safetensors. Convert it where you trust it: AutoModelForSequenceClassification.from_pretrained(FOLDER)"
            ".save_pretrained(NEW_FOLDER)"
        )
    raise InputError(f"{path} has no {SINGLE} and no {INDEX}")


def _merge_tables(path: Path, files: list[TensorFile]) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for name, tensor in file.tensors.items():
            if name in tensors:
                raise InputError(
                    f"{path}: the tensor {name!r} lies in {tensors[name].file.path.name} and {file.path.name}"
                )
            tensors[name] = tensor
    if _is_sharded(path):
        for name in read_json(path / INDEX)["weight_map"]:
            if name not in tensors:
                raise InputError(f"{path}: the index names the tensor {name!r}, but no shard holds it")
    return tensors
