"""Evaluation data: a YAML file that names one JSON Lines file a task.

tasks:
  sst2: sst2.jsonl          # rows {"text": …, "text_pair": … (optional), "label": …}
  names: names.jsonl        # rows {"words": [...], "labels": [...]}, for token classifications
  fashion: fashion.jsonl    # rows {"image": path, "label": …}; the path is from the file's own folder
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from merge_builder.checkpoints.files import sha256_of
from merge_builder.errors import InputError
from merge_builder.ladder.kinds import kind_of
from merge_builder.ladder.manifest import Task
from merge_builder.ladder.store import Ladder
from merge_builder.names import nearest


class Row(BaseModel):
    """One labelled input: a text, or a pair of them; words, each with a label of its own; or an image, by its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    text: str = ""
    text_pair: str | None = None
    image: Path | None = None
    words: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    label: str

    @model_validator(mode="before")
    @classmethod
    def _labelled(cls, document: Any) -> Any:
        words = isinstance(document, dict) and "words" in document
        return {"label": "", **document} if words else document

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        if self.words is not None:
            if self.text or self.text_pair is not None or self.image is not None or self.label:
                raise ValueError("write words with their labels and nothing else")
            if not self.words or len(self.words) != len(self.labels):
                raise ValueError(f"there are {len(self.words)} words and {len(self.labels)} labels: write one for each")
            return self
        if self.labels:
            raise ValueError("labels are those of words, which there are none of")
        if self.image is None and "text" not in self.model_fields_set:
            raise ValueError("write a text or an image")
        if self.image is not None and (self.text or self.text_pair is not None):
            raise ValueError("write a text or an image, not both")
        return self


@dataclass(frozen=True)
class TaskData:
    """A task's rows, its label ids in their order, and the hash of the file they came from, images included.

    Where rows are of words there is a label id for each word; `names` are then the task's labels.
    """

    rows: tuple[Row, ...]
    labels: tuple[int, ...]
    sha256: str
    names: tuple[str, ...] = ()


def load_data(path: Path, ladder: Ladder) -> dict[str, TaskData]:
    """Read what `path` names, for tasks of `ladder` alone.

    Raises:
        InputError: unreadable, an unknown task or label, a malformed row; names file and line.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read the data file {path}: {' '.join(str(error).split())}") from error
    files = document.get("tasks", document) if isinstance(document, dict) else None
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise InputError(f"{path} names no data: write tasks: {{name: rows.jsonl}}")
    known = {task.name: task for task in ladder.manifest.tasks}
    for task in files:
        if task not in known:
            raise InputError(f"{path}: this ladder has no task {task!r}{nearest(str(task), known)}")
    return {task: _read_rows(path.parent / name, known[task]) for task, name in files.items()}


def _read_rows(path: Path, task: Task) -> TaskData:
    labels, of_words = task.labels, kind_of(task) == "token_classification"
    if kind_of(task) not in ("classification", "token_classification"):
        raise InputError(f"task {task.name!r} is a {kind_of(task)}, of which no rows are evaluated")
    ids: Mapping[str, int] = {label: i for i, label in enumerate(labels)}
    rows, numbers = [], []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row = _parse(line, f"{path}:{number}", path.parent)
                if of_words != (row.words is not None):
                    form = '{"words": [...], "labels": [...]}' if of_words else "a text or an image with its label"
                    raise InputError(f"{path}:{number}: task {task.name!r} takes {form}")
                for label in row.labels if of_words else (row.label,):
                    if label not in ids:
                        hint = nearest(label, labels)
                        raise InputError(f"{path}:{number}: {label!r} is not a label of this task{hint}")
                    numbers.append(ids[label])
                rows.append(row)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the rows in {path}: {error}") from error
    if not rows:
        raise InputError(f"{path} holds no rows")
    return TaskData(tuple(rows), tuple(numbers), _hash(path, rows), labels if of_words else ())


def _hash(path: Path, rows: Sequence[Row]) -> str:
    """That of the file; where its rows are images, that of the hashes of the file and of each image."""
    images = [sha256_of(row.image) for row in rows if row.image is not None]
    digest = sha256_of(path)
    return hashlib.sha256("".join((digest, *images)).encode()).hexdigest() if images else digest


def _parse(line: str, where: str, folder: Path) -> Row:
    try:
        document: Any = json.loads(line)
        # A label may be written as a number; labels are compared as text.
        if isinstance(document, dict) and isinstance(document.get("label"), int):
            document["label"] = str(document["label"])
        row = Row.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        problem = first["msg"].removeprefix("Value error, ")
        raise InputError(": ".join((where, *map(str, first["loc"]), problem))) from error
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    if row.image is None:
        return row
    if not (folder / row.image).is_file():
        raise InputError(f"{where}: there is no file {folder / row.image}")
    return row.model_copy(update={"image": folder / row.image})
