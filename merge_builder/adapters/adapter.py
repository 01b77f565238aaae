"""A PEFT adapter folder beside its base, opened as the checkpoint that merging it into the base would save."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from merge_builder.adapters.changes import changes_of
from merge_builder.adapters.folded import FoldedTensor
from merge_builder.adapters.options import AdapterOptions, read_options
from merge_builder.adapters.task_config import task_config
from merge_builder.blocks import Layout
from merge_builder.checkpoints import Checkpoint, StoredTensor
from merge_builder.checkpoints.folder import ADAPTER_CONFIG
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError

_WEIGHTS = "adapter_model.safetensors"
_WRAPPER = "base_model.model."
_PART = re.compile(r"(?P<module>.+)\.(?P<part>lora_(?:embedding_)?[AB]|ia3_l)(?:\.weight)?")
# PEFT's wrappers, which it leaves in some names: of weights it changes, of modules that it saves (and has replaced).
_WRAPPED = re.compile(r"\.(?:base_layer|modules_to_save)\.")


@dataclass(frozen=True)
class _Stored:
    """An adapter's tensors: `parts[module][part]` of what is folded, and tensors saved `whole`, by their own name."""

    parts: dict[str, dict[str, StoredTensor]] = field(default_factory=dict)
    whole: dict[str, StoredTensor] = field(default_factory=dict)


def open_adapter(path: Path, base: Checkpoint, layout: Layout) -> Checkpoint:
    """Open the adapter in the folder `path`, to be read as a fine-tune of the normalised `base`.

    Its tensors are the base's, with the adapter's changes folded in as they are read, and what the adapter saved
    whole (`modules_to_save`, biases). Nothing of the dense model is held.

    Raises:
        InputError: no safetensors, an option that cannot be folded, or tensors that do not fit the base.
    """
    options = read_options(path)
    if not (path / _WEIGHTS).is_file():
        raise InputError(
            f"{path} has no {_WEIGHTS}: load the adapter with PEFT where you trust it, and save it again with "
            "save_pretrained"
        )
    file = TensorFile(path / _WEIGHTS)
    try:
        stored = _sort(file)
        prefixed = layout.prefix and any(name.startswith(layout.prefix) for name in (*stored.parts, *stored.whole))
        whole = {layout.canonical(name): tensor for name, tensor in stored.whole.items()}
        config = task_config(base.config, options, layout, whole)
        touched = {layout.canonical(f"{module}.weight") for module in stored.parts}
        tensors = _unfolded(base, config, layout, whole, touched)
        _fold(tensors, stored, options, layout, file)
    except InputError as error:
        file.close()
        raise InputError(f"{path}: {error}") from error
    names = {name: layout.original(name, layout.prefix if prefixed else "") for name in tensors}
    named = MappingProxyType({names[name]: tensor for name, tensor in tensors.items()})
    return Checkpoint(path, MappingProxyType(config), named, (file,), (ADAPTER_CONFIG,))


def _sort(file: TensorFile) -> _Stored:
    stored = _Stored()
    for key, tensor in file.tensors.items():
        name = key.removeprefix(_WRAPPER)
        match = _PART.fullmatch(name)
        if match is not None:
            stored.parts.setdefault(match["module"], {})[match["part"]] = tensor
        elif re.search(r"\.(?:lora|ia3)_", name):
            raise InputError(f"the tensor {key!r} is of a kind that cannot be folded (LoRA's A and B and ia3_l can)")
        elif ".original_module." not in name:
            stored.whole[_WRAPPED.sub(".", name)] = tensor
    if not stored.parts:
        raise InputError("the adapter holds no LoRA or (IA)3 tensors")
    return stored


def _unfolded(
    base: Checkpoint, config: Mapping[str, Any], layout: Layout, whole: Mapping[str, StoredTensor], touched: set[str]
) -> dict[str, StoredTensor]:
    """What the adapter's model consists of before anything is folded, by canonical name."""
    unknown = [n for n in whole if not (n in base.tensors or layout.is_head(n) or layout.is_optional(n))]
    if unknown := unknown + sorted(touched - base.tensors.keys() - whole.keys()):
        raise InputError(f"the adapter changes {unknown[0]!r}, which the base does not have")
    brings_head = any(layout.is_head(name) for name in whole)
    architecture = next(iter(config.get("architectures") or ()), None)

    def belongs(name: str) -> bool:
        if layout.is_head(name):
            return not brings_head or layout.is_taken_over(name)
        return architecture is None or not layout.is_optional(name) or layout.has_optional(architecture)

    inherited = {name: tensor for name, tensor in base.tensors.items() if name in touched or belongs(name)}
    return {**inherited, **whole}


def _fold(
    tensors: dict[str, StoredTensor], stored: _Stored, options: AdapterOptions, layout: Layout, file: TensorFile
) -> None:
    for module, parts in stored.parts.items():
        weight = tensors[layout.canonical(f"{module}.weight")]
        for kind, change in changes_of(module, parts, weight, options).items():
            name = layout.canonical(f"{module}.{kind}")
            if name in tensors:
                tensors[name] = FoldedTensor(tensors[name], change, file, f"{module}.{kind}")
