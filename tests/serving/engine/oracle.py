"""transformers' own models of what a rung exports."""

from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from merge_builder.export import export
from merge_builder.ladder import Ladder, RungSize

_MODELS: dict[tuple[str, str], tuple[PreTrainedModel, dict[str, str]]] = {}


def exported_model(architecture: str, ladder: Ladder, size: RungSize, task: str, out: Path) -> PreTrainedModel:
    """The model of `task`, as it is exported from the rung to a folder in `out`: float32, in evaluation mode.

    A model that was loaded before, of the same configuration, is given the exported weights as transformers gave it
    the first ones: that takes a tenth of the time.
    """
    folder = out / f"{ladder.root.name}-{size.index}-{task}"
    if not folder.exists():
        export(ladder, task, size, folder)
    key = architecture, (folder / "config.json").read_text()
    weights = load_file(folder / "model.safetensors")
    if key in _MODELS and _MODELS[key][1].keys() == weights.keys():
        model, names = _MODELS[key]
        model.load_state_dict({names[name]: tensor for name, tensor in weights.items()})
    else:
        model = getattr(transformers, architecture).from_pretrained(folder, dtype=torch.float32).eval()
        _MODELS[key] = model, _names(weights, model.state_dict())
    return model


def _names(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, str]:
    """What the model that was given `weights` calls each: often not what they are saved as. Empty where it has others,
    or several alike.
    """

    def values(tensor: Tensor) -> tuple[torch.Size, bytes]:
        return tensor.shape, tensor.float().numpy().tobytes()

    held = {values(tensor): name for name, tensor in state.items()}
    names = {name: held[found] for name, tensor in weights.items() if (found := values(tensor)) in held}
    return names if len(set(names.values())) == len(weights) == len(state) else {}
