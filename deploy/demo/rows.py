"""Files of labelled rows: JSON Lines, and the YAML that names one a task, as `mergeladder evaluate` reads them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from merge_builder.checkpoints.files import write_atomic
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
    write_atomic(path, "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in told).encode())


def write_data_yaml(path: Path, files: Mapping[str, Path]) -> None:
    """Write DATA.yaml, which names one JSON Lines file for each task."""
    document = {"tasks": {task: str(file) for task, file in files.items()}}
    write_atomic(path, yaml.safe_dump(document, sort_keys=False).encode())
