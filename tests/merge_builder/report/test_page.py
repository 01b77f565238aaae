"""The page as a reader's browser gets it: parsed again, with its figures held against the manifest."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from merge_builder.ladder import Ladder, open_ladder
from merge_builder.report import render, write_report

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that tags nest, and gathers elements, table rows and visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
            if "td" in self.open or "th" in self.open:
                self.rows[-1][-1] += data


@pytest.fixture
def scored(make_scored) -> Ladder:
    return make_scored("one", {22: (20, 24, 20), 9: (36, 30, 18)})


def test_it_names_every_task_block_and_evaluated_rung(scored: Ladder) -> None:
    page = Page(render([scored]))
    for name in ["a", "b", "c", *(block.name for block in scored.manifest.blocks), "#22", "#9", "#0", "average", "min"]:
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", page.text), name
    assert scored.manifest.revision in page.text
    for source in (scored.manifest.provenance.base, *scored.manifest.provenance.experts.values()):
        assert all(digest in page.text for digest in source.files.values())


def test_its_figures_are_the_manifests(scored: Ladder) -> None:
    page = Page(render([scored]))
    rungs = {f"#{rung.index}": rung for rung in scored.manifest.rungs}
    rows = {row[1]: row for row in page.rows if len(row) > 1 and row[1] in rungs}
    means = {"#22": (0.5 + 0.8 + 1) / 3, "#9": (0.9 + 1 + 0.9) / 3}
    for name in ("#22", "#9", "#0"):
        assert rows[name][0] == f"{rungs[name].ratio:.2f}x"
        assert int(rows[name][3]) == rungs[name].bytes
        assert float(rows[name][4]) == pytest.approx(100 * (1 - rungs[name].bytes / rungs["#0"].bytes), abs=0.06)
    for name, mean in means.items():
        assert float(rows[name][7].split()[0]) == pytest.approx(100 * mean, abs=0.06)
    assert rows["#22"][8] == "50.0 a"


def test_nothing_lies_outside_it(scored: Ladder) -> None:
    html = render([scored])
    page = Page(html)
    assert not {"link", "iframe", "img", "object", "base"} & {tag for tag, _ in page.elements}
    assert not [attrs for _, attrs in page.elements if {"src", "href", "srcset", "action"} & attrs.keys()]
    assert not re.search(r"@import|url\(|https?:|fetch\(|XMLHttpRequest", html)


def test_marks_are_told_without_colour(scored: Ladder) -> None:
    html = render([scored])
    page = Page(html)
    pictures = [attrs for tag, attrs in page.elements if tag == "svg"]
    assert len(pictures) == 2
    assert all(attrs.get("aria-label") or attrs.get("aria-labelledby") for attrs in pictures)
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    named = [part for _, attrs in page.elements for part in (attrs.get("aria-labelledby") or "").split()]
    assert set(named) <= ids
    assert html.count("<rect") == len(re.findall(r"<rect [^>]*><title>", html)) > 0


def test_every_colour_that_it_uses_is_defined(scored: Ladder) -> None:
    html = render([scored])
    assert set(re.findall(r"var\((--[\w-]+)", html)) <= set(re.findall(r"(--[\w-]+):", html))
    style = html[html.index("<style>") : html.index("</style>")]
    used = {name for _, attrs in Page(html).elements for name in (attrs.get("class") or "").split()}
    assert {name for name in used if name.startswith(("group-", "series-"))} <= set(re.findall(r"\.([\w-]+)", style))


HOSTILE = """<script>alert("x")</script>&amp;'"><b>"""


def test_hostile_names_are_text(scored: Ladder, tmp_path: Path) -> None:
    manifest = scored.manifest
    files = {f"{HOSTILE}{name}": digest for name, digest in manifest.provenance.base.files.items()}
    source = manifest.provenance.base.model_copy(update={"model": HOSTILE, "files": files})
    provenance = manifest.provenance.model_copy(
        update={"base": source, "libraries": {HOSTILE: HOSTILE}, "recipe": {"base": HOSTILE}}
    )
    method = manifest.method.model_copy(update={"name": HOSTILE, "parameters": {HOSTILE: HOSTILE}})
    hostile = manifest.model_copy(update={"provenance": provenance, "method": method, "linkage": HOSTILE})
    folder = HOSTILE.replace("/", "")
    page = Page(render([Ladder(tmp_path / folder, hostile)]))
    plain = Page(render([scored]))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.text.count(HOSTILE) >= 8
    assert folder in page.text


def test_several_ladders_stand_side_by_side(scored: Ladder, make_scored) -> None:
    other = make_scored("two", {22: (30, 24, 20)}, method={"name": "task_arithmetic", "scale": 0.5})
    page = Page(render([scored, other]))
    assert sum(tag == "svg" for tag, _ in page.elements) == 3
    assert sum(attrs.get("class") == "line" for _, attrs in page.elements) == 2
    assert "cannot be compared" not in page.text


def test_ladders_evaluated_on_other_rows_are_not_compared_in_silence(scored: Ladder, make_scored) -> None:
    other = make_scored("two", {22: (30, 24, 20)}, digest="1" * 64)
    assert "cannot be compared" in Page(render([scored, other])).text


def test_ladders_of_one_name_are_told_apart(scored: Ladder, tmp_path: Path) -> None:
    page = Page(render([scored, Ladder(tmp_path / "elsewhere" / "one", scored.manifest)]))
    assert str(scored.root) in page.text
    assert str(tmp_path / "elsewhere" / "one") in page.text


def test_a_ladder_without_scores_says_how_to_get_them(make_ladder) -> None:
    page = Page(render([make_ladder()]))
    assert "mergeladder evaluate" in page.text
    assert sum(tag == "svg" for tag, _ in page.elements) == 1


def test_equal_ladders_give_equal_bytes(scored: Ladder, tmp_path: Path) -> None:
    write_report([scored], tmp_path / "1.html")
    write_report([open_ladder(scored.root)], tmp_path / "2.html")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
