from html.parser import HTMLParser
from pathlib import Path


def test_one_ladder_or_several_become_one_file(mergeladder, ladder, tmp_path):
    out = tmp_path / "report.html"
    told = mergeladder("report", ladder.root, out)
    assert (told.code, told.out) == (0, "")
    assert str(out) in told.err
    alone = out.read_text()
    HTMLParser().feed(alone)
    assert all(text in alone for text in ("mood", "topic", "intent", ladder.manifest.revision))
    assert mergeladder("report", ladder.root, ladder.root, out).code == 0
    assert out.read_text().count(ladder.manifest.revision) == 2 * alone.count(ladder.manifest.revision)


def test_a_forgotten_output_leaves_the_ladder_alone(mergeladder, ladder):
    before = sorted(ladder.root.rglob("*"))
    failed = mergeladder("report", ladder.root, ladder.root)
    assert failed.code == 2
    assert "report.html" in failed.err
    assert sorted(ladder.root.rglob("*")) == before


def test_what_is_no_ladder_is_named(mergeladder, tmp_path):
    failed = mergeladder("report", tmp_path / "nothing", tmp_path / "out.html")
    assert failed.code == 2
    assert "nothing is not a ladder" in failed.err
    assert not Path(tmp_path / "out.html").exists()
