"""BEiT: ViT with relative positions and layer scales; `BeitForImageClassification` checkpoints.

A classifier reads the mean of patches through the pooler's norm or, without mean pooling, the class token.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BeitModel
from transformers.models.beit.modeling_beit import BeitRelativePositionBias

from serving.engine.attention import attend
from serving.engine.families import vit
from serving.engine.families.gridded import biases_of, by_grid
from serving.engine.families.patches import grid_on_entering, own_grid, patch_projection
from serving.engine.heads.head import Head
from serving.engine.heads.images import PATCHES, linear_classifier
from serving.engine.packing import Grid
from serving.engine.relative import lengths_of
from serving.engine.routed import Route, RoutedParameter

_SPECIAL = 1  # the class token
_POOLER = ("pooler.layernorm.weight", "pooler.layernorm.bias")
CLASSIFIER = linear_classifier(PATCHES, pooled=True)


def _build(config: Any, names: set[str], attention: str) -> nn.Module:
    model: Any = BeitModel._from_config(config, attn_implementation=attention)
    model.embeddings.mask_token = None
    if _POOLER[0] not in names:
        model.pooler = None
    built: nn.Module = model
    return built


def _attend(model: Any, layer: Any, hidden: Tensor, images: Sequence[tuple[int, Grid]]) -> Tensor:
    own, tokens = layer.attention, layer.layernorm_before(hidden)
    query, key, value = own.q_proj(tokens), own.k_proj(tokens), own.v_proj(tokens)
    tables = [table for table in (layer.relative_position_bias, model.shared_position_bias) if table is not None]
    parts = list(by_grid(tables or [own], images, _SPECIAL))
    biases = None
    if tables:
        window = own_grid(model.config)
        biases = biases_of(parts, lambda grid: torch.stack([_bias(_alone(t), window, grid) for t in tables]).sum(0))
    attended = attend(
        own.num_attention_heads,
        query,
        key,
        value,
        lengths_of([stretch for stretch, _ in parts]),
        biases=biases,
        scaling=own.scaling,
    )
    output: Tensor = own.o_proj(attended)
    return output


def _alone(table: RoutedParameter) -> Tensor:
    ((version, _),) = table.versions()
    return version


def _bias(table: Tensor, own: Grid, grid: Grid) -> Tensor:
    """(heads, tokens, tokens) for a grid, of the table for the model's `own`, as transformers interpolates it.

    The table's last three rows are those between the class token and patches.
    """
    down, across = (2 * side - 1 for side in grid)
    # Columns before rows, as transformers has it: in a window that is no square, an oversight that is kept.
    patches = table[:-3].view(1, 2 * own[1] - 1, 2 * own[0] - 1, -1).permute(0, 3, 1, 2)
    resized: Tensor = F.interpolate(patches, size=(down, across), mode="bilinear")
    rows = torch.cat([resized.permute(0, 2, 3, 1).reshape(down * across, -1), table[-3:]])
    index = BeitRelativePositionBias.generate_relative_position_index(grid).to(table.device)
    return rows[index].permute(2, 0, 1)


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    hidden = _scale(layer.lambda_1, attended).add_(hidden)
    return _scale(layer.lambda_2, layer.mlp(layer.layernorm_after(hidden))).add_(hidden)


def _scale(scale: RoutedParameter | float, tokens: Tensor) -> Tensor:
    """`tokens` themselves, multiplied in place: nobody else has the output of a linear layer."""
    if not isinstance(scale, RoutedParameter):
        return tokens.mul_(scale)
    for version, slices in scale.versions():
        for start, end in slices:
            tokens[:, start:end].mul_(version)
    return tokens


def _pool(model: Any, rows: Tensor) -> Tensor:
    if model.pooler is None:
        return rows
    pooled: Tensor = model.pooler.layernorm(rows)
    return pooled


def _classify(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
    # The base had no pooler, so each expert keeps its own.
    weight, bias = (tensors[name] for name in _POOLER)
    features = F.layer_norm(features, features.shape[1:], weight, bias)
    return CLASSIFIER.apply(tensors, features)


OWN_POOLER = replace(CLASSIFIER, needs=(*CLASSIFIER.needs, *_POOLER), pooled=False, apply=_classify)


def _head(config: Mapping[str, Any], names: Collection[str]) -> Head:
    if not config.get("use_mean_pooling", True):
        return vit.CLASSIFIER
    return OWN_POOLER if _POOLER[0] in names else CLASSIFIER


def _positions(_leaf: nn.Module, tensors: Mapping[str, tuple[str, str]], route: Route) -> RoutedParameter:
    return RoutedParameter(*tensors["relative_position_bias_table"], route)


FAMILY = replace(
    vit.FAMILY,
    build=_build,
    behind=("lambda_1", "layernorm_after", "mlp", "lambda_2"),
    pooler=("pooler",),
    everywhere=("shared_position_bias",),
    attend=_attend,
    finish=_finish,
    pool=_pool,
    head=_head,
    grid=grid_on_entering,
    unread=frozenset({"embeddings.mask_token"}),
    twins={nn.Conv2d: patch_projection, BeitRelativePositionBias: _positions},
)
