"""Renew the tables of docs/kubernetes.md from the chart: `python helm/values_table.py`.

The text of a value is the comment above it in values.yaml; that of a group's key, its description in the schema.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm/mergeladder"
PAGE = ROOT / "docs/kubernetes.md"


def with_tables(page: str) -> str:
    """`page` with what stands between its markers made anew."""
    source = (CHART / "values.yaml").read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    entry = schema["properties"]["groups"]["items"]
    values = [f"| `{key}` | {default} | {text} |" for key, default, text in rows(source)]
    groups = [f"| `{key}` | {about['description']} |" for key, about in entry["properties"].items()]
    page = _between(page, "values", ["| value | default | |", "|---|---|---|", *values])
    return _between(page, "group", ["| key | |", "|---|---|", *groups])


def rows(source: str) -> Iterator[tuple[str, str, str]]:
    """`(key, default, text)` of every value that the commented YAML in `source` has, top to bottom."""
    lines = source.splitlines()
    yield from _rows(yaml.compose(source), yaml.safe_load(source), lines, "")


def _rows(node: Any, value: Any, lines: list[str], prefix: str) -> Iterator[tuple[str, str, str]]:
    for key, child in node.value:
        name, text = prefix + key.value, _comment_above(lines, key.start_mark.line)
        inside = lines[child.start_mark.line : child.end_mark.line]
        if isinstance(child, yaml.MappingNode) and any(re.match(r"\s+#", line) for line in inside):
            if text:
                yield name, "", text
            yield from _rows(child, value[key.value], lines, f"{name}.")
        else:
            default = value[key.value]
            yield name, "" if default == "" else f"`{json.dumps(default)}`", text


def _comment_above(lines: list[str], line: int) -> str:
    found = []
    while line and (match := re.match(r"\s*# ?(.*)", lines[line - 1])):
        found.append(match[1])
        line -= 1
    return " ".join(reversed(found)).replace("|", "\\|")


def _between(page: str, name: str, lines: list[str]) -> str:
    begin, end = f"<!-- {name}: by helm/values_table.py -->\n", f"<!-- /{name} -->"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{PAGE} has no {begin.strip()} … {end}")
    return before + begin + "\n".join(["", *lines, "", ""]) + end + after


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
