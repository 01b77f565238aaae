"""An adapter's own config: what folding needs from it, and a refusal of all that folding cannot honour."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from merge_builder.checkpoints.files import read_json
from merge_builder.checkpoints.folder import ADAPTER_CONFIG
from merge_builder.errors import InputError

_READ = {
    "alpha_pattern",
    "auto_mapping",
    "fan_in_fan_out",
    "init_lora_weights",
    "lora_alpha",
    "peft_type",
    "task_type",
    "use_rslora",
}
# What shaped the training, or which tensors there are: the tensors themselves tell the rest.
_WITHOUT_EFFECT = {
    "base_model_name_or_path",
    "bias",
    "eva_config",
    "exclude_modules",
    "feedforward_modules",
    "inference_mode",
    "init_ia3_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_dropout",
    "megatron_core",
    "modules_to_save",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
}
# Other ways to start (PiSSA, OLoRA, CorDA, LoftQ...) change the base's weights, so the adapter does not fit the base.
_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True)
class AdapterOptions:
    """What an adapter_config.json tells about folding.

    Attributes:
        scale, scales, rank_stabilised: the numerator of LoRA's factor, its values by pattern of the module's name,
            and whether the rank's square root divides it.
        transposed: weights lie as [in, out].
        architecture: the task model's class, as far as it is told.
        task_type: PEFT's word for the kind of task, or None.
    """

    scale: float
    scales: Mapping[str, float]
    rank_stabilised: bool
    transposed: bool
    architecture: str | None
    task_type: str | None

    def factor(self, module: str, rank: int) -> float:
        """What the product of the two LoRA matrices of `module` is multiplied by.

        Source: LoRA, arXiv 2106.09685, section 4.1; rank-stabilised: arXiv 2312.03732.
        """
        patterns = (key for key in self.scales if re.match(rf"(.*\.)?({key})$", module))
        scale = self.scales.get(next(patterns, ""), self.scale)
        return scale / (sqrt(rank) if self.rank_stabilised else rank)


def read_options(path: Path) -> AdapterOptions:
    """The options of the adapter in the folder `path`.

    Raises:
        InputError: another kind of adapter, or an option that folding cannot honour; names it.
    """
    config = read_json(path / ADAPTER_CONFIG)
    kind = config.get("peft_type")
    if kind not in ("LORA", "IA3"):
        raise InputError(f"{path}: peft_type {kind!r} cannot be folded into the base (LORA and IA3 can)")
    for key, value in config.items():
        if value and key not in _READ | _WITHOUT_EFFECT:
            raise InputError(_refusal(path, key, value))
    if config.get("init_lora_weights") not in _STARTS:
        raise InputError(_refusal(path, "init_lora_weights", config["init_lora_weights"]))
    return AdapterOptions(
        scale=float(config.get("lora_alpha", 1)),
        scales=config.get("alpha_pattern") or {},
        rank_stabilised=bool(config.get("use_rslora")),
        transposed=bool(config.get("fan_in_fan_out")),
        architecture=(config.get("auto_mapping") or {}).get("base_model_class"),
        task_type=config.get("task_type"),
    )


def _refusal(path: Path, key: str, value: Any) -> str:
    return (
        f"{path}: the adapter was made with {key} = {value!r}, which cannot be folded here: merge it with PEFT "
        "(merge_and_unload), save the whole model with save_pretrained and name that folder"
    )
