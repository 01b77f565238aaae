"""All experts into one plain checkpoint, without a ladder: what other merging tools do.

merge(load_recipe(Path("recipe.yaml")), Path("merged"))
"""

from pathlib import Path

from threadpoolctl import threadpool_limits

from merge_builder.build import block_input
from merge_builder.checkpoints.files import write_atomic
from merge_builder.checkpoints.new_folder import new_folder
from merge_builder.errors import InputError
from merge_builder.fisher_files import open_fisher
from merge_builder.inputs import Inputs, open_inputs
from merge_builder.materialise import BlockInput, Stored, write_versions
from merge_builder.measures import Measures
from merge_builder.methods import find_method
from merge_builder.progress import Bytes, Progress, silent
from merge_builder.recipe import Recipe
from merge_builder.write_blocks import merging_of


def merge(recipe: Recipe, out: Path, *, progress: Progress = silent) -> None:
    """Write the 1x model of `recipe`, as a checkpoint of the base's own class, into the new folder `out`.

    It is the encoder that the last rung of the ladder shares, read and written once; heads stay with the experts.
    The folder appears whole or not at all.

    Raises:
        InputError: the recipe or a checkpoint is unfit, its method makes no single model, or `out` exists already.
        MergeLadderError: writing failed.
    """
    method = find_method(recipe.method_use.name)
    if method.masked:
        raise InputError(f"{method.name} gives every task weights of its own: build a ladder and export a task of it")
    with (
        new_folder(out) as folder,
        open_inputs(recipe) as inputs,
        open_fisher(recipe, inputs) as fisher,
        threadpool_limits(1),
    ):
        blocks = [block_input(inputs, name, fisher) for name in inputs.base_parts.blocks]
        model, measures = _as_one(blocks, inputs), Measures(method, len(recipe.tasks))
        if measures.wanted:
            measuring = Bytes(progress, "measuring task vectors", model.bytes_read)
            for block in blocks:
                measures.add(block)
                measuring.add(block.bytes_read)
        how, merging = merging_of(recipe, measures.result()), Bytes(progress, "merging", model.bytes_read)
        everyone = tuple(range(len(recipe.tasks)))
        write_versions(model, {everyone: Stored("merged", folder / "model.safetensors")}, how, merging.add)
        write_atomic(folder / "config.json", inputs.base_config())
        for path in inputs.preprocessing():
            write_atomic(folder / path.name, path.read_bytes())


def _as_one(blocks: list[BlockInput], inputs: Inputs) -> BlockInput:
    """All blocks, end to end, as one, with the names that the base's own checkpoint uses."""
    names = tuple(name for block in blocks for name in block.names)
    base = [tensor for block in blocks for tensor in block.base]
    experts = [[t for block in blocks for t in block.experts[k]] for k in range(len(blocks[0].experts))]
    fisher = [[t for block in blocks for t in block.fisher[k]] for k in range(len(blocks[0].fisher))]
    stored_as = {name: inputs.layout.original(name, inputs.base_parts.prefix) for name in names}
    return BlockInput("model", names, base, experts, fisher, blocks[0].dtype, stored_as)
