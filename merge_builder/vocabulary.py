"""The tokens that a base and its experts know: one list for all.

Experts may have tokens of their own only where a recipe says `vocabulary: pad`. Then every table with a row a token
gets as many rows as the longest has; the new ones are zeros.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merge_builder.blocks import Layout
from merge_builder.blocks.partition import TOKEN_TABLE
from merge_builder.checkpoints import Checkpoint, StoredTensor
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError


@dataclass(frozen=True)
class PaddedTensor:
    """A stored table with rows of zeros at its end."""

    stored: StoredTensor
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The stored table's."""
        return self.stored.name

    @property
    def file(self) -> TensorFile:
        """The stored table's."""
        return self.stored.file

    @property
    def dtype(self) -> str:
        """The stored table's."""
        return self.stored.dtype

    @property
    def size(self) -> int:
        """Number of elements, those of the new rows among them."""
        return self.stored.size // self.stored.shape[0] * self.shape[0]

    @property
    def nbytes(self) -> int:
        """Payload bytes, as if it were stored."""
        return self.stored.nbytes // self.stored.shape[0] * self.shape[0]

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Elements `start` to `stop` of the flattened table, as a fresh array."""
        end, held = self.size if stop is None else stop, self.stored.size
        values = self.stored.read(min(start, held), min(end, held))
        return np.concatenate([values, np.zeros(end - start - len(values), values.dtype)])


def pad(
    base: Checkpoint, experts: Mapping[str, Checkpoint], layout: Layout
) -> tuple[Checkpoint, dict[str, Checkpoint]]:
    """The (normalised) base and experts by task, all with tables for the longest vocabulary among them.

    Raises:
        InputError: an id stands for different tokens, or an expert that would have to be padded has a head with a row a
            token.
    """
    _check_ids((base, *experts.values()))
    rows: dict[str, int] = {}
    for checkpoint in (base, *experts.values()):
        for name, tensor in checkpoint.tensors.items():
            if re.fullmatch(TOKEN_TABLE, name):
                rows[name] = max(tensor.shape[0], rows.get(name, 0))
    tokens = max((_stated(checkpoint) for checkpoint in (base, *experts.values())), default=0)
    for checkpoint in experts.values():
        _check_head(checkpoint, layout, tokens)
    padded = {task: _padded(checkpoint, rows, tokens) for task, checkpoint in experts.items()}
    return _padded(base, rows, tokens), padded


def _padded(checkpoint: Checkpoint, rows: Mapping[str, int], tokens: int) -> Checkpoint:
    tensors = {
        name: PaddedTensor(tensor, (rows[name], *tensor.shape[1:])) if rows.get(name, 0) > tensor.shape[0] else tensor
        for name, tensor in checkpoint.tensors.items()
    }
    config = {**checkpoint.config, "vocab_size": tokens} if _stated(checkpoint) else checkpoint.config
    return replace(checkpoint, tensors=MappingProxyType(tensors), config=MappingProxyType(dict(config)))


def _stated(checkpoint: Checkpoint) -> int:
    return int(checkpoint.config.get("vocab_size", 0))


def _check_head(expert: Checkpoint, layout: Layout, tokens: int) -> None:
    own = _stated(expert)
    for name, tensor in expert.tensors.items():
        if own < tokens and layout.is_head(name) and tensor.shape[:1] == (own,):
            raise InputError(
                f"{expert.path}: {name!r} of its head has a row for each of its {own} tokens, and only embeddings are "
                f"padded: resize it with model.resize_token_embeddings({tokens})"
            )


def _check_ids(checkpoints: Iterable[Checkpoint]) -> None:
    tokens: dict[int, tuple[str, Path]] = {}
    for checkpoint in checkpoints:
        for token, number in (vocabulary_of(checkpoint.path) or {}).items():
            known, path = tokens.setdefault(number, (token, checkpoint.path))
            if known != token:
                raise InputError(
                    f"{checkpoint.path}: its token {number} is {token!r}, but {known!r} in {path}: experts can be "
                    "padded only where each adds its tokens at ids of their own"
                )


def check_same(base: Checkpoint, expert: Checkpoint) -> None:
    """Refuse an expert whose tokenizer is not the base's.

    Raises:
        InputError: names a token that one of them alone has.
    """
    mine, yours = vocabulary_of(base.path), vocabulary_of(expert.path)
    if mine and yours and mine != yours:
        token = next(iter(dict(mine.items() ^ yours.items())))
        raise InputError(
            f"{expert.path}: its tokenizer differs from the base's, for example at the token {token!r}; "
            "if it only adds tokens, the recipe can say `vocabulary: pad`"
        )


def vocabulary_of(path: Path) -> Mapping[str, int] | None:
    """Token -> id, added tokens included, where the folder tells it in plain text; None where it does not."""
    try:
        if (path / "tokenizer.json").is_file():
            document: Any = json.loads((path / "tokenizer.json").read_bytes())
            vocab = document["model"]["vocab"]
            found = dict(vocab) if isinstance(vocab, dict) else {piece: i for i, (piece, _) in enumerate(vocab)}
            return found | {added["content"]: added["id"] for added in document.get("added_tokens") or ()}
        if (path / "vocab.txt").is_file():
            return {token: i for i, token in enumerate((path / "vocab.txt").read_text(encoding="utf-8").splitlines())}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: the tokenizer's files are damaged: {type(error).__name__}") from error
    return None
