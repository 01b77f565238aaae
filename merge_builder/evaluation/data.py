"""Evaluation data: a YAML file that names one JSON Lines file a task.

tasks:
  sst2: sst2.jsonl          # rows {"text": …, "text_pair": … (optional), "label": …}
  names: names.jsonl        # rows {"words": [...], "labels": [...]}, for token classifications
  squad: squad.jsonl        # rows {"question": …, "context": …, "answers": [...]}
  alike: alike.jsonl        # rows {"text": …, "text_pair": …, "score": …}, for embeddings
  fashion: fashion.jsonl    # rows {"image": path, "label": …}; the path is from the file's own folder
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from merge_builder.checkpoints.files import sha256_of
from merge_builder.errors import InputError
from merge_builder.evaluation.rows import Row, parse_row
from merge_builder.kind import Kind
from merge_builder.ladder.kinds import kind_of
from merge_builder.ladder.manifest import Task
from merge_builder.ladder.store import Ladder
from merge_builder.names import nearest
from merge_builder.yaml_file import read_yaml

_TOLD = 8  # labels in an error


@dataclass(frozen=True)
class TaskData:
    """A task's rows, its label ids in their order, and the hash of the file they came from, images included.

    Where rows are of words there is a label id for each word; `names` are then the task's labels. Questions and
    embeddings have no labels.
    """

    rows: tuple[Row, ...]
    labels: tuple[int, ...]
    sha256: str
    names: tuple[str, ...] = ()
    kind: Kind = "classification"


def load_data(path: Path, ladder: Ladder) -> dict[str, TaskData]:
    """Read what `path` names, for tasks of `ladder` alone.

    Raises:
        InputError: unreadable, an unknown task or label, a malformed row; names file and line.
    """
    document = read_yaml(path)
    files = document.get("tasks", document) if isinstance(document, dict) else None
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise InputError(f"{path} names no data: write tasks: {{name: rows.jsonl}}")
    known = {task.name: task for task in ladder.manifest.tasks}
    for task in files:
        if task not in known:
            raise InputError(f"{path}: this ladder has no task {task!r}{nearest(str(task), known)}")
    return {task: _read_rows(path.parent / name, known[task]) for task, name in files.items()}


def _read_rows(path: Path, task: Task) -> TaskData:
    kind = kind_of(task)
    ids: Mapping[str, int] = {label: i for i, label in enumerate(task.labels)}
    rows, numbers = [], []
    try:
        with path.open(encoding="utf-8-sig") as file:  # Windows begins files with a mark, which is no JSON
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                where = f"{path}:{number}"
                row = _beside(parse_row(line, where, kind), path.parent, where)
                for label in _labels(row, kind):
                    if label not in ids:
                        raise InputError(f"{where}: {label!r} is not a label of this task{_which(label, task.labels)}")
                    numbers.append(ids[label])
                rows.append(row)
    except OSError as error:
        raise InputError(f"cannot read the rows in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the rows in {path}: it is not text in UTF-8") from error
    if not rows:
        raise InputError(f"{path} holds no rows")
    if kind == "embedding" and len({row.score for row in rows}) == 1:
        raise InputError(f"{path}: all rows have one score, so that no order is right: write pairs that differ in it")
    names = task.labels if kind == "token_classification" else ()
    return TaskData(tuple(rows), tuple(numbers), _hash(path, rows), names, kind)


def _which(label: str, known: Sequence[str]) -> str:
    return nearest(label, known) or f": they are {', '.join(known[:_TOLD])}{', ...' if len(known) > _TOLD else ''}"


def _labels(row: Row, kind: Kind) -> tuple[str, ...]:
    return (row.label,) if kind == "classification" else row.labels


def _hash(path: Path, rows: Sequence[Row]) -> str:
    """That of the file; where its rows are images, that of the hashes of the file and of each image."""
    images = [sha256_of(row.image) for row in rows if row.image is not None]
    digest = sha256_of(path)
    return hashlib.sha256("".join((digest, *images)).encode()).hexdigest() if images else digest


def _beside(row: Row, folder: Path, where: str) -> Row:
    """The row, its image found from the folder of its file."""
    if row.image is None:
        return row
    if not (folder / row.image).is_file():
        raise InputError(f"{where}: there is no file {folder / row.image}")
    return replace(row, image=folder / row.image)
