"""transformers' own models of what a rung exports."""

from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import PreTrainedModel

from merge_builder.export import export
from merge_builder.ladder import Ladder, RungSize

_MODELS: dict[tuple[str, str], PreTrainedModel] = {}


def exported_model(architecture: str, ladder: Ladder, size: RungSize, task: str, out: Path) -> PreTrainedModel:
    """The model of `task`, as it is exported from the rung to a folder in `out`: float32, in evaluation mode.

    A model that was loaded before, of the same configuration, is given the exported weights: that takes a tenth of the
    time. Where transformers saves tensors under older names than its model has, each is loaded anew.
    """
    folder = out / f"{ladder.root.name}-{size.index}-{task}"
    if not folder.exists():
        export(ladder, task, size, folder)
    key = architecture, (folder / "config.json").read_text()
    weights = load_file(folder / "model.safetensors")
    if key in _MODELS and _MODELS[key].state_dict().keys() == weights.keys():
        _MODELS[key].load_state_dict(weights)
    else:
        _MODELS[key] = getattr(transformers, architecture).from_pretrained(folder, dtype=torch.float32).eval()
    return _MODELS[key]
