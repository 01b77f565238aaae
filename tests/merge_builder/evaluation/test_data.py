import json
from pathlib import Path

import pytest

from merge_builder.errors import InputError
from merge_builder.evaluation import load_data


def write(folder: Path, rows: list[object], task: str = "b") -> Path:
    (folder / "rows.jsonl").write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    (folder / "data.yaml").write_text(f"tasks: {{{task}: rows.jsonl}}")
    return folder / "data.yaml"


def test_rows_and_labels_are_read(suite: Path, make_ladder) -> None:
    path = write(suite, [{"text": "x", "label": "label-2"}, "", {"text": "y", "text_pair": "z", "label": "label-0"}])
    data = load_data(path, make_ladder())["b"]
    assert data.labels == (2, 0)
    assert [row.text_pair for row in data.rows] == [None, "z"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], "rows.jsonl:1"),
        ([{"text": "x", "label": "label-0"}, {"text": "x", "label": "label-9"}], "rows.jsonl:2.*label-9"),
        ([{"text": "x"}], "label"),
        ([{"label": "label-0"}], "rows.jsonl:1: write a text or an image"),
        ([{"text": "x", "image": "data.yaml", "label": "label-0"}], "rows.jsonl:1: write a text or an image, not both"),
        ([{"text_pair": "x", "image": "data.yaml", "label": "label-0"}], "not both"),
        ([{"image": "none.png", "label": "label-0"}], "rows.jsonl:1: there is no file .*none.png"),
        ([{"txt": "x", "text": "x", "label": "label-0"}], "txt"),
        ([], "no rows"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(suite: Path, make_ladder, rows: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_data(write(suite, rows), make_ladder())


def test_an_unknown_task_is_named(suite: Path, make_ladder) -> None:
    with pytest.raises(InputError, match="no task 'zz'"):
        load_data(write(suite, [], task="zz"), make_ladder())


def test_images_are_found_beside_the_rows_and_counted_into_their_hash(suite: Path, make_ladder) -> None:
    (suite / "images").mkdir()
    (suite / "images/a.png").write_bytes(b"one")
    path = write(suite, [{"image": "images/a.png", "label": "label-1"}, {"image": "images/a.png", "label": "label-0"}])
    data = load_data(path, make_ladder())["b"]
    again = load_data(path, make_ladder())["b"]
    (suite / "images/a.png").write_bytes(b"two")
    changed = load_data(path, make_ladder())["b"]

    assert [row.image for row in data.rows] == 2 * [suite / "images/a.png"]
    assert data.labels == (1, 0)
    assert data.sha256 == again.sha256 != changed.sha256
