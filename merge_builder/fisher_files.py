"""Fisher values that a recipe names: one safetensors file a task, a value for every merged weight."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from merge_builder.checkpoints import StoredTensor
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError
from merge_builder.inputs import Inputs
from merge_builder.recipe import Recipe


@contextmanager
def open_fisher(recipe: Recipe, inputs: Inputs) -> Iterator[Mapping[str, Mapping[str, StoredTensor]]]:
    """`values[task][canonical tensor name]` for every task that names a file.

    Raises:
        InputError: a file is unreadable, lacks a tensor, or has it in another shape; names both.
    """
    with ExitStack() as stack:
        values: dict[str, dict[str, StoredTensor]] = {}
        for task, expert in recipe.tasks.items():
            if expert.fisher is None:
                continue
            file = TensorFile(recipe.folder / expert.fisher)
            stack.callback(file.close)
            values[task] = {inputs.layout.canonical(name): tensor for name, tensor in file.tensors.items()}
            for tensors in inputs.base_parts.blocks.values():
                for name, tensor in tensors.items():
                    found = values[task].get(name)
                    if found is None or found.shape != tensor.shape:
                        problem = "lacks" if found is None else f"has shape {list(found.shape)} for"
                        raise InputError(
                            f"task {task!r}: {file.path} {problem} {name!r}, which is {list(tensor.shape)}"
                        )
        yield values
