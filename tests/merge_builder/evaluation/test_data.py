import json
from pathlib import Path

import pytest

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.evaluation import load_data
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe


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
        (['[{"text": "x", "label": "label-0"}]'], "rows.jsonl:1: not an object; a row of"),
        ([{"text": "x", "label": "label-0"}, {"text": "x", "label": "label-9"}], "rows.jsonl:2.*label-9"),
        ([{"text": "x", "label": 0}], "'0' is not a label of this task: they are label-0, label-1, label-2"),
        ([{"text": "x"}], "label"),
        ([{"label": "label-0"}], r"rows.jsonl:1: text: this key is missing; .* is \{\"text\": ..., \"label\""),
        ([{"text": "x", "image": "data.yaml", "label": "label-0"}], "rows.jsonl:1: text: unknown key"),
        ([{"text_pair": "x", "image": "data.yaml", "label": "label-0"}], "text_pair: unknown key"),
        ([{"image": "none.png", "label": "label-0"}], "rows.jsonl:1: there is no file .*none.png"),
        ([{"txt": "x", "text": "x", "label": "label-0"}], "txt"),
        ([], "no rows"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(suite: Path, make_ladder, rows: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_data(write(suite, rows), make_ladder())


def test_a_file_from_windows_is_read(suite: Path, make_ladder) -> None:
    path = write(suite, [])
    row = b'{"text": "caf\xc3\xa9", "label": "label-1"}\r\n'
    (suite / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + row + b"\r\n" + row)
    assert [row.text for row in load_data(path, make_ladder())["b"].rows] == 2 * ["café"]


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


@pytest.fixture
def words_ladder(suite: Path) -> Ladder:
    """A ladder whose task `b` labels words."""
    config = json.loads((suite / "b" / "config.json").read_text())
    (suite / "b" / "config.json").write_text(json.dumps(config | {"architectures": ["BertForTokenClassification"]}))
    return build(load_recipe(suite / "recipe.yaml"), suite / "ladder")


def test_rows_of_words_have_a_label_id_for_each_word(words_ladder: Ladder, tmp_path: Path) -> None:
    rows = [{"words": ["x", "y"], "labels": ["label-2", "label-0"]}, {"words": ["z"], "labels": ["label-1"]}]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "data.yaml").write_text("tasks: {b: b.jsonl}")
    data = load_data(tmp_path / "data.yaml", words_ladder)["b"]
    assert (data.labels, data.names) == ((2, 0, 1), ("label-0", "label-1", "label-2"))
    assert [row.words for row in data.rows] == [("x", "y"), ("z",)]


@pytest.mark.parametrize(
    ("task", "row", "told"),
    [
        ("b", {"words": ["x"], "labels": []}, "1 words and 0 labels"),
        ("b", {"words": ["x"], "labels": ["label-9"]}, "'label-9' is not a label"),
        (
            "b",
            {"text": "x", "label": "label-1"},
            'words: this key is missing; a row of a token classification is {"words": [...], "labels": [...]}',
        ),
        ("b", {"words": ["x"], "labels": ["label-1"], "text": "x"}, "text: unknown key"),
        ("a", {"words": ["x"], "labels": ["label-1"]}, 'a row of a classification is {"text"'),
        ("a", {"text": "x", "label": "label-1", "labels": ["label-1"]}, "labels: Tuple should have at most 0 items"),
    ],
)
def test_rows_of_another_form_are_named(words_ladder: Ladder, tmp_path: Path, task: str, row: dict, told: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (tmp_path / "data.yaml").write_text(f"tasks: {{{task}: rows.jsonl}}")
    with pytest.raises(InputError, match=r"rows\.jsonl:1: ") as caught:
        load_data(tmp_path / "data.yaml", words_ladder)
    assert told in str(caught.value)
