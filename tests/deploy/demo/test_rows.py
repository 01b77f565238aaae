"""Files of rows, read back by ourselves and by the evaluation."""

from pathlib import Path

import pytest
import yaml

from deploy.demo.rows import read_rows, write_data_yaml, write_rows
from merge_builder.errors import InputError
from merge_builder.evaluation import Row

# A line separator inside a text must not end the row.
ROWS = [Row(text="naïve\u2028text\nof two lines", label="a"), Row(text="one", text_pair="two", label="b")]


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", ROWS)
    assert read_rows(tmp_path / "rows.jsonl") == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("line", ["not json", "[]", '{"text": "a"}', '{"txt": "a"}'])
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": "b"}\n' + line + "\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:2"):
        read_rows(tmp_path / "rows.jsonl")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the rows in .*none\.jsonl"):
        read_rows(tmp_path / "none.jsonl")


def test_the_data_yaml_names_a_file_for_each_task(tmp_path: Path) -> None:
    write_data_yaml(tmp_path / "sub" / "data.yaml", {"b": tmp_path / "b.jsonl", "a": tmp_path / "a.jsonl"})
    document = yaml.safe_load((tmp_path / "sub" / "data.yaml").read_text())
    assert document == {"tasks": {"b": str(tmp_path / "b.jsonl"), "a": str(tmp_path / "a.jsonl")}}
