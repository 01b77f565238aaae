"""A checkpoint's weights as transformers lays them out: one safetensors file, or shards with an index."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from merge_builder.checkpoints.files import write_atomic
from merge_builder.checkpoints.folder import INDEX, SINGLE
from merge_builder.checkpoints.stored_tensor import Readable
from merge_builder.checkpoints.tensor_writer import TensorWriter, payload_bytes
from merge_builder.ladder.fields import TensorSpec

SHARD_BYTES = 5_000_000_000
_WRITTEN_AT_ONCE = 1 << 22


def write_weights(folder: Path, tensors: Mapping[str, Readable], shard_bytes: int = SHARD_BYTES) -> None:
    """Write `tensors` into `folder` as a stream: in shards of at most `shard_bytes` where one file would be larger."""
    specs = [TensorSpec(name=name, dtype=t.dtype, shape=t.shape) for name, t in tensors.items()]
    shards = split_into_shards(specs, shard_bytes)
    if len(shards) == 1:
        _write(folder / SINGLE, shards[0], tensors)
        return
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write(folder / name, shard, tensors)
        weight_map |= {spec.name: name for spec in shard}
    index = {"metadata": {"total_size": sum(map(payload_bytes, specs))}, "weight_map": weight_map}
    write_atomic(folder / INDEX, (json.dumps(index, indent=2, sort_keys=True) + "\n").encode())


def split_into_shards(specs: Sequence[TensorSpec], shard_bytes: int) -> list[list[TensorSpec]]:
    """`specs`, in their order, filled into shards of at most `shard_bytes`; a larger tensor has a shard of its own."""
    shards: list[list[TensorSpec]] = [[]]
    used = 0
    for spec in specs:
        size = payload_bytes(spec)
        if shards[-1] and used + size > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(spec)
        used += size
    return shards


def _write(path: Path, specs: Sequence[TensorSpec], tensors: Mapping[str, Readable]) -> None:
    with TensorWriter(path, specs) as writer:
        for spec in specs:
            tensor = tensors[spec.name]
            for start in range(0, tensor.size, _WRITTEN_AT_ONCE):
                writer.write(tensor.read(start, min(start + _WRITTEN_AT_ONCE, tensor.size)))
        writer.finish()
