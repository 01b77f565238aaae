import json
from pathlib import Path

import pytest

from merge_builder.errors import InputError
from merge_builder.ladder import open_ladder
from merge_builder.verify import verify


def test_any_flipped_byte_is_found(make_ladder) -> None:
    ladder = make_ladder()
    assert verify(ladder) == []
    for path in sorted(ladder.root.rglob("*")):
        if not path.is_file() or path.name in ("ladder.json", "README.md"):
            continue
        good = path.read_bytes()
        for place in (0, len(good) // 2, len(good) - 1):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            assert any(path.name in problem for problem in verify(ladder))
        path.write_bytes(good)


def test_a_missing_and_a_foreign_file_are_named(make_ladder) -> None:
    ladder = make_ladder()
    missing = next(ladder.root.glob("blocks/pooler/*.safetensors"))
    missing.unlink()
    (ladder.root / "blocks" / "extra.txt").write_text("?")
    problems = "\n".join(verify(ladder))
    assert missing.name in problems
    assert "extra.txt: not part of this ladder" in problems


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m["rungs"][3].update(bytes=1), "rung table"),
        (lambda m: m["trace"].pop(), "trace"),
        (lambda m: m["trace"][0].update(left=["a", "b", "c"]), "step 1"),
        (lambda m: m["versions"].pop(), "no stored version"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_found(make_ladder, edit, message: str) -> None:
    path: Path = make_ladder().root / "ladder.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    assert any(message in problem for problem in verify(open_ladder(path.parent)))


def test_any_change_of_the_manifest_is_found(make_ladder) -> None:
    path: Path = make_ladder().root / "ladder.json"
    good = path.read_bytes()
    for place in range(0, len(good), 97):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        try:
            problems = verify(open_ladder(path.parent))
        except InputError:
            continue
        assert problems
