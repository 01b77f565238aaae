import json

import pytest

from merge_builder.errors import InputError
from merge_builder.ladder import open_ladder


def test_a_folder_without_a_manifest_is_no_ladder(tmp_path) -> None:
    with pytest.raises(InputError, match="not a ladder"):
        open_ladder(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", 2, "format_version 1"),
        ("surprise", 1, "surprise"),
        ("revision", None, "revision"),
    ],
)
def test_the_schema_is_closed(make_ladder, key: str, value: object, message: str) -> None:
    path = make_ladder().root / "ladder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(InputError, match=message):
        open_ladder(path.parent)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", ".hidden", "a/b", ""])
def test_a_manifest_names_nothing_outside_its_folder(make_ladder, name: str) -> None:
    path = make_ladder().root / "ladder.json"
    document = json.loads(path.read_text())
    for edit in ("block", "id"):
        changed = json.loads(json.dumps(document))
        changed["versions"][0][edit] = name
        path.write_text(json.dumps(changed))
        with pytest.raises(InputError, match="versions"):
            open_ladder(path.parent)
