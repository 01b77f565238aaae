"""What kind of answer a task gives, told by its own config.json: the one place where that is decided."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from merge_builder.errors import InputError
from merge_builder.kind import Kind
from merge_builder.ladder.manifest import Task

_ARCHITECTURES: dict[str, Kind] = {
    r"\w+For(?:Sequence|Image)Classification(?:WithTeacher)?": "classification",
    r"\w+ForTokenClassification": "token_classification",
    r"\w+ForQuestionAnswering": "question_answering",
    r"\w+Model(?:WithProjection)?": "embedding",
}


def kind_of(task: Task) -> Kind:
    """The kind of `task`.

    An expert that came as a sentence-transformers folder is an embedding whatever its config.json says; one whose
    config.json names no architecture is a classifier if it has labels.

    Raises:
        InputError: its head is of a kind that is not served, such as a masked language model's.
    """
    if task.embedding is not None:
        return "embedding"
    name = _architecture(task.config)
    if name is None:
        return "classification" if task.labels else "embedding"
    if (kind := _told_by(name)) is not None:
        return kind
    raise InputError(
        f"task {task.name} is a {name}, which can be merged and exported but not asked: "
        f"the kinds that can are {', '.join(get_args(Kind))}"
    )


def kind_told(task: Task) -> str:
    """The kind for people: a kind's name, or the architecture where it is of none."""
    try:
        return kind_of(task)
    except InputError:
        return str(_architecture(task.config))


def has_labels(config: Mapping[str, Any]) -> bool:
    """Whether `id2label` of a model's config.json means anything: transformers writes it for every kind."""
    name = _architecture(config)
    return name is None or _told_by(name) not in ("question_answering", "embedding")


def is_headed(config: Mapping[str, Any]) -> bool:
    """Whether a model's config.json names an architecture whose head answers otherwise than by a vector."""
    name = _architecture(config)
    return name is not None and _told_by(name) not in (None, "embedding")


def _architecture(config: Mapping[str, Any]) -> str | None:
    names = config.get("architectures")
    return str(names[0]) if names else None


def _told_by(architecture: str) -> Kind | None:
    return next((kind for pattern, kind in _ARCHITECTURES.items() if re.fullmatch(pattern, architecture)), None)
