"""What a ladder holds beside its blocks: each task's head, and the base's config and tokenizer files."""

from pathlib import Path

from merge_builder.checkpoints import TensorWriter
from merge_builder.checkpoints.files import sha256_of, write_atomic
from merge_builder.checkpoints.tensor_writer import payload_bytes
from merge_builder.inputs import Inputs
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.manifest import Head
from merge_builder.ladder.store import head_path


def write_heads(out: Path, inputs: Inputs) -> dict[str, Head]:
    """Write `heads/<task>.safetensors` for every task: the expert's own tensors, bit for bit."""
    heads = {}
    for expert in inputs.experts:
        specs = tuple(TensorSpec(name=n, dtype=t.dtype, shape=t.shape) for n, t in expert.parts.head.items())
        with TensorWriter(head_path(out, expert.task), specs) as writer:
            for tensor in expert.parts.head.values():
                writer.write(tensor.read())
            digest = writer.finish()
        heads[expert.task] = Head(bytes=sum(map(payload_bytes, specs)), tensors=specs, sha256=digest)
    return heads


def copy_base_files(out: Path, inputs: Inputs) -> dict[str, str]:
    """Copy config.json and the tokenizer's or image processor's files into `base/`; returns their sha256."""
    contents = {"config.json": inputs.base_config()}
    contents |= {source.name: source.read_bytes() for source in inputs.preprocessing()}
    for name, content in contents.items():
        write_atomic(out / "base" / name, content)
    return {name: sha256_of(out / "base" / name) for name in contents}
