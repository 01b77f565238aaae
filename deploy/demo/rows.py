"""Files of labelled rows: JSON Lines, and the YAML that names one a task, as `mergeladder evaluate` reads them."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from merge_builder.errors import InputError
from merge_builder.evaluation.rows import Row, parse_row


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSON Lines file, whatever their labels.

    Raises:
        InputError: the file cannot be read, or a line is not a row; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the rows in {path}: {error}") from error
    return [parse_row(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write `rows`, which are of texts, to `path`; the file appears whole or not at all."""
    documents = ({"text": row.text, "text_pair": row.text_pair, "label": row.label} for row in rows)
    told = ({key: value for key, value in document.items() if value is not None} for document in documents)
    write_text(path, "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in told))


def write_data_yaml(path: Path, files: Mapping[str, Path]) -> None:
    """Write DATA.yaml, which names one JSON Lines file for each task."""
    write_text(path, yaml.safe_dump({"tasks": {task: str(file) for task, file in files.items()}}, sort_keys=False))


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` under a temporary name first, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
