from pathlib import Path

import pytest

from merge_builder.errors import InputError
from merge_builder.yaml_file import read_yaml


def test_a_document_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    for text in (b"a: {b: caf\xc3\xa9}\n", b"\xef\xbb\xbfa:\r\n  b: caf\xc3\xa9\r\n"):
        (tmp_path / "r.yaml").write_bytes(text)
        assert read_yaml(tmp_path / "r.yaml") == {"a": {"b": "café"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: [", "is not YAML: line 1, column 5: "),
        (b"a:\n\tb: 1\n", "line 2, column 1: .*indent with spaces"),
        (b"a:\n  b: 1\n c: 2\n", r"line 3, column 2: .*is it indented"),
        (b"a:\n  b: 1\n  b: 2\n", "line 3, column 3: the key 'b' is written twice"),
        (b"!!python/object:os.system {}", "line 1, column 1"),
        (b"a: \x07", "is not YAML: .*special characters"),
        (b"a: \xff", "not text in UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "r.yaml").write_bytes(text)
    with pytest.raises(InputError, match=rf"r\.yaml.*{message}"):
        read_yaml(tmp_path / "r.yaml")


def test_a_missing_file_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_yaml(tmp_path / "none.yaml")
    assert str(caught.value) == f"cannot read {tmp_path / 'none.yaml'}: No such file or directory"
