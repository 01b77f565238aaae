"""Checkpoints on disk: lazy readers and atomic, streaming writers of safetensors."""

from merge_builder.checkpoints.folder import Checkpoint, open_checkpoint
from merge_builder.checkpoints.stored_tensor import Readable, StoredTensor
from merge_builder.checkpoints.tensor_writer import TensorWriter

__all__ = ["Checkpoint", "Readable", "StoredTensor", "TensorWriter", "open_checkpoint"]
