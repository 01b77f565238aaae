"""DeBERTa-v2 and v3: disentangled attention (arXiv:2006.03654, section 3.1); v2 has a convolution in its first layer.

A score adds, to the product of two tokens' contents, that of one's content with the relative position of the other,
both ways. Relative positions are embedded in one table, whose rows go through projections of each layer.
"""

from collections.abc import Collection, Mapping, Sequence
from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DebertaV2Model
from transformers.activations import ACT2FN
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from serving.engine.attention import attend
from serving.engine.families import bert
from serving.engine.families.family import Family, Lengths
from serving.engine.heads.classifier import two_layers
from serving.engine.heads.head import Head
from serving.engine.relative import Stretch, by_distance, distances, lengths_of, stretches
from serving.engine.routed import Route, Routed


def _build(config: Any, _names: set[str], _attention: str) -> nn.Module:
    model: nn.Module = DebertaV2Model(config)
    encoder: Any = model.encoder
    if encoder.conv is not None:  # part of the first layer: it stands beside its attention and behind it
        encoder.layer[0].conv, encoder.conv = encoder.conv, None
    return model


def _attend(model: Any, layer: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    """What attention gives, and beside it what the convolution gives, where there is one."""
    own = layer.attention.self
    query, key, value = own.query_proj(hidden), own.key_proj(hidden), own.value_proj(hidden)
    scaling = 1 / sqrt(own.attention_head_size * (1 + len({"c2p", "p2c"} & set(own.pos_att_type))))
    parts, scores = _position_scores(model.encoder, own, query, key, lengths, scaling)
    attended = attend(own.num_attention_heads, query, key, value, parts, biases=scores, scaling=scaling)
    return torch.cat([attended, _convolve(layer.conv, hidden, lengths)], dim=-1) if hasattr(layer, "conv") else attended


def _position_scores(
    encoder: Any, own: Any, query: Tensor, key: Tensor, lengths: Lengths, scaling: float
) -> tuple[Lengths, list[Tensor] | None]:
    """What positions add to the scores, for each of the lengths, which are parted where other versions set in."""
    projections = _projections(own)
    if not projections:
        return lengths, None
    norm = [encoder.LayerNorm] if "layer_norm" in encoder.norm_rel_ebd else []
    parts = stretches([encoder.rel_embeddings, *norm, *projections.values()], lengths)
    tables = _tables(encoder, own, projections, parts, query.device)
    scores = []
    for part in parts:
        places = _places(own, part.length)
        first, by_kind = tables[part.key]
        used = slice(int(places[-1]) - first, int(places[0]) - first + 1)
        index = by_distance(places - places[-1]).to(query.device)
        terms = []
        for kind, table in by_kind.items():
            content = (query if kind == "c2p" else key)[0, part.start : part.end]
            content = content.view(part.count, part.length, *table.shape[1:]).transpose(1, 2)
            products = content @ table[used].permute(1, 2, 0)
            at = (index if kind == "c2p" else index.T).expand(*products.shape[:3], part.length)
            found = products.gather(-1, at)
            terms.append(found if kind == "c2p" else found.transpose(-1, -2))
        scores.append(sum(terms[1:], terms[0]) * scaling)
    return lengths_of(parts), scores


def _projections(own: Any) -> dict[str, nn.Module]:
    """What embedded positions go through: as keys for the contents' queries (c2p), as queries for their keys (p2c)."""
    if not own.relative_attention:
        return {}
    names = {"c2p": "key_proj", "p2c": "query_proj"}
    if not own.share_att_key:
        names = {kind: f"pos_{name}" for kind, name in names.items()}
    return {kind: getattr(own, name) for kind, name in names.items() if kind in own.pos_att_type}


def _tables(
    encoder: Any, own: Any, projections: Mapping[str, nn.Module], parts: Sequence[Stretch], device: torch.device
) -> dict[Any, tuple[int, dict[str, Tensor]]]:
    """The projected positions, (rows, heads, head size), once for all stretches of the same versions.

    Only the rows that the longest of their sequences needs are made; the first of them is told.
    """
    longest: dict[Any, Stretch] = {}
    for part in sorted(parts, key=lambda p: p.length):
        longest[part.key] = part
    tables = {}
    for key, part in longest.items():
        places = _places(own, part.length)
        rows = torch.arange(int(places[-1]), int(places[0]) + 1, device=device)
        with part.alone():
            embedded = encoder.rel_embeddings(rows[None])
            if "layer_norm" in encoder.norm_rel_ebd:
                embedded = encoder.LayerNorm(embedded)
            made = {
                kind: projection(embedded)[0].unflatten(-1, (own.num_attention_heads, -1))
                for kind, projection in projections.items()
            }
        tables[key] = (int(places[-1]), made)
    return tables


def _places(own: Any, length: int) -> Tensor:
    """The row of the table for each of `distances`, int64 of shape (2 length - 1,), the greatest first."""
    relative = -distances(length, torch.device("cpu"))
    if own.position_buckets > 0 and own.max_relative_positions > 0:
        relative = make_log_bucket_position(relative, own.position_buckets, own.max_relative_positions)
    places: Tensor = relative.long() + own.pos_ebd_size
    return places.clamp(0, 2 * own.pos_ebd_size - 1)


def _convolve(convolution: Any, hidden: Tensor, lengths: Lengths) -> Tensor:
    """Each sequence's convolution, (1, tokens, hidden)."""
    outputs = []
    for part in stretches([convolution.conv], lengths):
        sequences = hidden[0, part.start : part.end].view(part.count, part.length, -1)
        with part.alone():
            outputs.append(convolution.conv(sequences.transpose(1, 2)).transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs).unsqueeze(0)


def _finish(layer: Any, attended: Tensor, hidden: Tensor) -> Tensor:
    width = layer.attention.self.all_head_size
    hidden = layer.attention.output(attended[..., :width], hidden)
    output: Tensor = layer.output(layer.intermediate(hidden), hidden)
    if hasattr(layer, "conv"):
        output = layer.conv.LayerNorm(output + ACT2FN[layer.conv.conv_act](attended[..., width:]))
    return output


def _convolution(leaf: nn.Conv1d, tensors: Mapping[str, tuple[str, str]], route: Route) -> Routed:
    """The twin of a convolution over (sequences, channels, length)."""
    padding, groups = leaf.padding, leaf.groups
    return Routed(lambda x, **own: F.conv1d(x, padding=padding, groups=groups, **own), tensors, route)


def _head(config: Mapping[str, Any], _names: Collection[str]) -> Head:
    return two_layers("pooler.dense", ACT2FN[config.get("pooler_hidden_act", "gelu")], "classifier")


FAMILY = Family(
    build=_build,
    layers=bert.layers,
    everywhere=("encoder.rel_embeddings", "encoder.LayerNorm"),
    behind=("attention.output", "intermediate", "output", "conv.LayerNorm"),
    pack=bert.pack,
    embed=bert.embed,
    attend=_attend,
    finish=_finish,
    head=_head,
    max_tokens=lambda config: int(config.max_position_embeddings),
    twins={nn.Conv1d: _convolution},
)
