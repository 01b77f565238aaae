"""Every tensor of a checkpoint into exactly one block or into the head; nothing is left over."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from merge_builder.blocks.albert import ALBERT
from merge_builder.blocks.beit import BEIT
from merge_builder.blocks.bert import BERT, ELECTRA, ROBERTA
from merge_builder.blocks.clip import CLIP
from merge_builder.blocks.deberta_v2 import DEBERTA_V2
from merge_builder.blocks.distilbert import DISTILBERT
from merge_builder.blocks.layout import Granularity, Layout
from merge_builder.blocks.llama import LLAMA
from merge_builder.blocks.modernbert import MODERNBERT
from merge_builder.blocks.mpnet import MPNET
from merge_builder.blocks.swin import SWIN
from merge_builder.blocks.t5 import T5
from merge_builder.blocks.tied import without_aliases
from merge_builder.blocks.vit import DEIT, DINOV2, VIT
from merge_builder.checkpoints import Checkpoint, StoredTensor
from merge_builder.checkpoints.dtypes import FLOATS
from merge_builder.errors import InputError

LAYOUTS = (
    BERT,
    ROBERTA,
    ELECTRA,
    DISTILBERT,
    ALBERT,
    MPNET,
    MODERNBERT,
    DEBERTA_V2,
    LLAMA,
    T5,
    VIT,
    DEIT,
    DINOV2,
    CLIP,
    BEIT,
    SWIN,
)
# Tables with a row for each token.
TOKEN_TABLE = r"(?:.+\.)?(?:word_embeddings|embed_tokens|tok_embeddings|shared|lm_head)\.weight"


@dataclass(frozen=True)
class Parts:
    """A checkpoint by canonical names: `blocks[block][tensor]`, in the order of the forward pass, and the head."""

    prefix: str
    blocks: Mapping[str, Mapping[str, StoredTensor]]
    head: Mapping[str, StoredTensor]

    @property
    def names(self) -> set[str]:
        """The names of all block tensors."""
        return {name for tensors in self.blocks.values() for name in tensors}


def layout_of(config: Mapping[str, Any], path: object) -> Layout:
    """The layout for a config's `model_type`.

    Raises:
        InputError: the family is not supported.
    """
    model_type = config.get("model_type")
    for layout in LAYOUTS:
        if model_type in layout.model_types:
            return layout
    known = ", ".join(sorted(name for layout in LAYOUTS for name in layout.model_types))
    raise InputError(f"{path}: model_type {model_type!r} is not supported yet (supported: {known})")


def normalise(checkpoint: Checkpoint, layout: Layout) -> Checkpoint:
    """The same checkpoint with its tensors by canonical name, each once, and the prefix that was removed.

    Raises:
        InputError: two stored names mean the same tensor.
    """
    found: dict[str, StoredTensor] = {}
    for stored_name, tensor in checkpoint.tensors.items():
        name = layout.canonical(stored_name)
        if name in found:
            raise InputError(f"{checkpoint.path} holds {name!r} twice: as {found[name].name!r} and as {stored_name!r}")
        found[name] = tensor
    prefixed = layout.prefix != "" and any(name.startswith(layout.prefix) for name in checkpoint.tensors)
    tensors = MappingProxyType(without_aliases(found, checkpoint.config, layout))
    return replace(checkpoint, tensors=tensors, prefix=layout.prefix if prefixed else "")


def split_base(
    checkpoint: Checkpoint, layout: Layout, granularity: Granularity, experts: Sequence[Checkpoint] = ()
) -> Parts:
    """The normalised base's tensors by block; what it has beside them (its `head`) is not merged.

    Optional tensors that one of the (normalised) `experts` lacks cannot be merged either.

    Raises:
        InputError: a tensor that no rule of the layout matches, or a block tensor that is not of floats.
    """
    return _split(checkpoint, layout, granularity, lambda name: all(name in expert.tensors for expert in experts))


def split_expert(checkpoint: Checkpoint, layout: Layout, granularity: Granularity, base: Parts) -> Parts:
    """A normalised expert's tensors by block, checked against the base: same blocks, tensors and shapes.

    Raises:
        InputError: names the tensor that is left over, missing, or of another shape.
    """
    merged = base.names
    parts = _split(checkpoint, layout, granularity, merged.__contains__)
    for block, tensors in base.blocks.items():
        for name, expected in tensors.items():
            found = parts.blocks.get(block, {}).get(name)
            if found is None:
                raise InputError(
                    f"{checkpoint.path} lacks the tensor {name!r}, which the base has: is it of this base?"
                )
            if found.shape != expected.shape:
                raise InputError(f"{checkpoint.path}: {_explain_shape(name, found.shape, expected.shape)}")
    for name in parts.names - merged:
        stored_name = checkpoint.tensors[name].name
        raise InputError(f"{checkpoint.path}: the tensor {stored_name!r} does not exist in the base, and it is no head")
    return parts


def _explain_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    if re.fullmatch(TOKEN_TABLE, name) and found[1:] == expected[1:]:
        return (
            f"{name!r} has {found[0]} rows, the base has {expected[0]}: this expert's vocabulary was changed. Cut it "
            f"back with model.resize_token_embeddings({expected[0]}) if the new tokens can go; if they must stay, the "
            "recipe can say `vocabulary: pad`"
        )
    return (
        f"{name!r} has shape {list(found)}, the base has {list(expected)}: "
        "an expert must be a fine-tune of this very base"
    )


def _split(
    checkpoint: Checkpoint, layout: Layout, granularity: Granularity, has_optional: Callable[[str], bool]
) -> Parts:
    placed: list[tuple[tuple[int, ...], str, str, StoredTensor]] = []
    head: dict[str, StoredTensor] = {}
    for name, tensor in checkpoint.tensors.items():
        found = layout.block_of(name, granularity)
        if layout.is_head(name) or (layout.is_optional(name) and not has_optional(name)):
            head[name] = tensor
        elif found is None:
            raise InputError(
                f"{checkpoint.path}: the tensor {tensor.name!r} belongs to no block of this family, and it is no head"
            )
        elif tensor.dtype not in FLOATS:
            raise InputError(f"{checkpoint.path}: {tensor.name!r} is {tensor.dtype}; merging needs {', '.join(FLOATS)}")
        else:
            placed.append((*found, name, tensor))
    blocks: dict[str, dict[str, StoredTensor]] = {}
    for _, block, name, tensor in sorted(placed, key=lambda item: (item[0], item[2])):
        blocks.setdefault(block, {})[name] = tensor
    if not blocks:
        raise InputError(f"{checkpoint.path} holds none of the weights that a {layout.model_types[0]} model merges")
    return Parts(checkpoint.prefix, blocks, dict(sorted(head.items())))
