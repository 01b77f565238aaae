"""Folders of sentence-transformers: a transformers checkpoint with `modules.json`, which tells how its tokens become
one vector. What it tells is read into a ladder's manifest, and written again into an export.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from merge_builder.checkpoints.files import read_json, write_atomic
from merge_builder.errors import InputError
from merge_builder.ladder.manifest import Embedding

MODULES = "modules.json"
LENGTH = "sentence_bert_config.json"
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_TYPES = "sentence_transformers.models."


def read_embedding(path: Path) -> tuple[Embedding | None, tuple[str, ...]]:
    """What the folder `path` tells, and the names of the files that do; None where it is of transformers alone.

    Raises:
        InputError: it does more than to pool, by mean or first token, and to normalise.
    """
    if not (path / MODULES).is_file():
        return None, ()
    try:
        modules = {str(module["type"]).rsplit(".", 1)[-1]: str(module["path"]) for module in _modules(path)}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path / MODULES} is damaged: {type(error).__name__}") from error
    if more := sorted(modules.keys() - {"Transformer", "Pooling", "Normalize"}):
        raise InputError(f"{path} has a module {more[0]}, which is not served: Transformer, Pooling and Normalize are")
    pooling, files = "mean", [MODULES]
    if "Pooling" in modules:
        name = f"{modules['Pooling']}/config.json"
        pooling = _pooling(path / name)
        files.append(name)
    return Embedding(pooling=pooling, normalise="Normalize" in modules), tuple(files)


def stated_length(path: Path) -> int | None:
    """The most tokens that the folder says an input may have."""
    if not (path / LENGTH).is_file():
        return None
    stated = read_json(path / LENGTH).get("max_seq_length")
    return stated if isinstance(stated, int) else None


def write_embedding(folder: Path, embedding: Embedding, max_length: int | None, config: Mapping[str, Any]) -> None:
    """Make the transformers checkpoint in `folder`, whose config.json is `config`, one of sentence-transformers."""
    width = config.get("hidden_size", config.get("dim"))
    names = ["Transformer", "Pooling", *(["Normalize"] if embedding.normalise else [])]
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_{name}" if n else "", "type": _TYPES + name}
        for n, name in enumerate(names)
    ]
    modes: dict[str, Any] = {key: mode == embedding.pooling for key, mode in _POOLINGS.items()}
    for name, content in (
        (MODULES, modules),
        ("1_Pooling/config.json", {"word_embedding_dimension": width} | modes),
        (LENGTH, {"max_seq_length": max_length, "do_lower_case": False}),
    ):
        write_atomic(folder / name, (json.dumps(content, indent=2) + "\n").encode())


def _modules(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((path / MODULES).read_bytes())
    return found


def _pooling(path: Path) -> Any:
    config = read_json(path, "modules.json names it")
    modes = [key for key, on in config.items() if key.startswith("pooling_mode_") and on]
    named = config.get("pooling_mode") or [_POOLINGS.get(mode, mode) for mode in modes]
    if named in ("mean", "cls"):
        return named
    if isinstance(named, list) and len(named) == 1 and named[0] in ("mean", "cls"):
        return named[0]
    raise InputError(f"{path} asks for the pooling {named}: served are mean and cls, one of them")
