"""YAML files of people: read as UTF-8, a key only once, and errors that name the file and the line."""

from pathlib import Path
from typing import Any

import yaml

from merge_builder.errors import InputError

_HINTS = {"'\\t'": "indent with spaces, not with tabs", "<block end>": "is it indented as the lines above?"}


def read_yaml(path: Path) -> Any:
    """The document in the file at `path`.

    Raises:
        InputError: unreadable, not YAML, or a key is written twice: the second would silently replace the first.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: it is not text in UTF-8") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {_explain(error)}") from error


def _explain(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem is None or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    hint = next((f" ({hint})" for sign, hint in _HINTS.items() if sign in error.problem), "")
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}{hint}"


class _UniqueKeys(yaml.SafeLoader):
    """Safe YAML that refuses a key written twice."""


def _unique_mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str) and key in seen:
            problem = f"the key {key!r} is written twice"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
