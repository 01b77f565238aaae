"""DINOv2: ViT with layer scales; `Dinov2ForImageClassification` checkpoints read class token and mean of patches."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Dinov2Model
from transformers.models.dinov2.modeling_dinov2 import Dinov2LayerScale

from serving.engine.families import bert, vit
from serving.engine.families.family import Lengths
from serving.engine.families.patches import patch_projection
from serving.engine.heads.head import Head
from serving.engine.heads.images import FIRST_AND_PATCHES, linear_classifier
from serving.engine.routed import Route, Routed

CLASSIFIER = linear_classifier(FIRST_AND_PATCHES)


class _SwiGLU(nn.Module):
    """The feed-forward part of the largest models with the two matrices of checkpoints; transformers has three."""

    def __init__(self, split: Any) -> None:
        super().__init__()
        width, hidden = split.gate_proj.in_features, split.gate_proj.out_features
        self.weights_in = nn.Linear(width, 2 * hidden)
        self.weights_out = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        gate, up = self.weights_in(tokens).chunk(2, dim=-1)
        output: Tensor = self.weights_out(F.silu(gate) * up)
        return output


def _build(config: Any, _names: set[str], attention: str) -> nn.Module:
    model: Any = Dinov2Model._from_config(config, attn_implementation=attention)
    model.embeddings.mask_token = None
    if config.use_swiglu_ffn:
        for layer in model.encoder.layer:
            layer.mlp = _SwiGLU(layer.mlp)
    built: nn.Module = model
    return built


def _attend(_model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    attended: Tensor = layer.attention(layer.norm1(hidden), packed=lengths)[0]
    return attended


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    hidden = layer.layer_scale1(attended).add_(hidden)
    output: Tensor = layer.layer_scale2(layer.mlp(layer.norm2(hidden))).add_(hidden)
    return output


def _head(_config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return CLASSIFIER


def _layer_scale(_leaf: nn.Module, tensors: Mapping[str, tuple[str, str]], route: Route) -> Routed:
    # In place: nobody else has what it is applied to, the output of a linear layer.
    return Routed(lambda tokens, lambda1: tokens.mul_(lambda1), tensors, route)


FAMILY = replace(
    vit.FAMILY,
    build=_build,
    layers=bert.layers,
    behind=("layer_scale1", "norm2", "mlp", "layer_scale2"),
    attend=_attend,
    finish=_finish,
    head=_head,
    twins={nn.Conv2d: patch_projection, Dinov2LayerScale: _layer_scale},
)
