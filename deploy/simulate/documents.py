"""Input files with a closed schema, and errors that name the file, the key and the remedy."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from merge_builder.checkpoints.files import read_json
from merge_builder.closed import Closed
from merge_builder.errors import InputError
from merge_builder.names import nearest
from merge_builder.yaml_file import read_yaml

Document = TypeVar("Document", bound=Closed)


def read_document(path: Path, schema: type[Document]) -> Document:
    """The YAML or JSON file at `path` (by its suffix), checked against `schema`.

    Raises:
        InputError: unreadable, not YAML or JSON, or not such a document.
    """
    found = read_json(path) if path.suffix == ".json" else read_yaml(path)
    try:
        return schema.model_validate(found)
    except ValidationError as error:
        raise InputError(f"{path}: {_explain(error, schema)}") from error


def _explain(error: ValidationError, schema: type[Closed]) -> str:
    # A mistyped key is also a missing one; what is neither of two types is not first of all no name; and a list is also
    # too short if its only item is wrong.
    order = {"extra_forbidden": 0, "string_type": 2, "model_type": 2, "too_short": 3}
    first = min(error.errors(), key=lambda found: order.get(found["type"], 1))
    where, known = _place(schema, first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r}{nearest(str(first['loc'][-1]), known)} (known: {', '.join(known)})"
    if first["type"] == "missing":
        return f"the key {where!r} is missing"
    return f"{where or 'the document'}: {first['msg'].removeprefix('Value error, ')}"


def _place(schema: type[Closed], loc: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """`loc` as a path, without the types that pydantic puts into it, and the keys known where it leads."""
    model: Any = schema
    path = []
    for number, part in enumerate(loc):
        if isinstance(part, int) or part in model.model_fields or number == len(loc) - 1:
            path.append(str(part))
        if part in model.model_fields and number < len(loc) - 1:
            kind = model.model_fields[part].annotation
            inner = (one for one in (kind, *getattr(kind, "__args__", ())) if hasattr(one, "model_fields"))
            model = next(inner, model)
    return ".".join(path), list(model.model_fields)
