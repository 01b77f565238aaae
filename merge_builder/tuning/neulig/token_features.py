"""The router's features: the mean of the embeddings that all tasks share at 1x, over a text's tokens.

They are linear in the tokens, so a network on them is, multiplied out, a score for each token and task.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from safetensors import safe_open

from merge_builder.errors import InputError
from merge_builder.ladder import Ladder, rung_at
from merge_builder.ladder.router import Router
from merge_builder.tuning.neulig.portland import Floats, Portland


def token_table(ladder: Ladder) -> Floats:
    """The embeddings of all tokens, (vocabulary, width), as the smallest rung has them: the tensor of as many rows as
    the base's vocabulary has words.

    Raises:
        InputError: the base has no vocabulary, as models of images have none.
    """
    vocabulary = json.loads((ladder.base_dir / "config.json").read_text(encoding="utf-8")).get("vocab_size")
    smallest = rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1)
    for block in ladder.manifest.blocks:
        for tensor in block.tensors:
            if vocabulary is not None and len(tensor.shape) == 2 and tensor.shape[0] == vocabulary:
                base = smallest.bases.get(block.name)
                version = base or next(iter(smallest.versions[block.name].values()))
                with safe_open(ladder.version_path(version), "pt") as file:  # numpy knows no bfloat16
                    return np.asarray(file.get_tensor(tensor.name).double().numpy())
    raise InputError("a router reads the tokens of texts, and this ladder's models have no table of them: name tasks")


@dataclass(frozen=True)
class TokenFeatures:
    """Means of `table`'s rows, centred by `centre` and divided by `spread`, (width,) each."""

    table: Floats
    centre: Floats
    spread: Floats

    def of(self, texts: Sequence[Sequence[int]]) -> Floats:
        """(texts, width), for the token ids of each text."""
        return (means(self.table, texts) - self.centre) / self.spread

    def router(self, tasks: tuple[str, ...], network: Portland) -> Router:
        """`network` on these features, multiplied out."""
        weight = network.weight / self.spread
        bias = network.bias - weight @ self.centre
        return Router(tasks, (self.table @ weight.T).astype(np.float32), bias.astype(np.float32))


def fit_features(table: Floats, texts: Sequence[Sequence[int]]) -> TokenFeatures:
    """Features that are of mean 0 and spread 1 over `texts`."""
    found = means(table, texts)
    return TokenFeatures(table, found.mean(axis=0), np.maximum(found.std(axis=0), 1e-6))


def means(table: Floats, texts: Sequence[Sequence[int]]) -> Floats:
    """(texts, width): of each text the mean of its tokens' rows."""
    return np.array([table[list(ids)].mean(axis=0) for ids in texts]).reshape(len(texts), table.shape[1])
