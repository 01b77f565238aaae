"""Files of labelled rows: JSON Lines, and the YAML that names one a task, as `mergeladder evaluate` reads them."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from merge_builder.errors import InputError
from merge_builder.evaluation.data import Row


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSON Lines file, whatever their labels.

    Raises:
        InputError: the file cannot be read, or a line is not a row; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the rows in {path}: {error}") from error
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _parse(line: str, where: str) -> Row:
    try:
        return Row.model_validate_json(line)
    except ValidationError as error:
        raise InputError(f'{where} is not a row: write {{"text": "...", "label": "..."}}') from error


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write `rows` to `path`; the file appears whole or not at all."""
    write_text(path, "".join(row.model_dump_json(exclude_none=True) + "\n" for row in rows))


def write_data_yaml(path: Path, files: Mapping[str, Path]) -> None:
    """Write DATA.yaml, which names one JSON Lines file for each task."""
    write_text(path, yaml.safe_dump({"tasks": {task: str(file) for task, file in files.items()}}, sort_keys=False))


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` under a temporary name first, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
