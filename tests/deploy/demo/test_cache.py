"""The cache: where it is, and folders that are whole or not there."""

from pathlib import Path

import pytest

from deploy.demo.cache import cache_folder, whole_folder


def test_the_cache_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERGELADDER_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("MERGELADDER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().name == "mergeladder"


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "made" / "here"
    with whole_folder(target) as folder:
        (folder / "a").write_text("1")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a"]
    assert [path.name for path in target.parent.iterdir()] == ["here"]


def _fail_half_way(target: Path) -> None:
    with whole_folder(target) as folder:
        (folder / "a").write_text("1")
        raise ZeroDivisionError


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        _fail_half_way(tmp_path / "made" / "here")
    assert not list((tmp_path / "made").iterdir())


def test_the_first_of_two_stays(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "here") as slow:
        (slow / "a").write_text("slow")
        with whole_folder(tmp_path / "here") as quick:
            (quick / "a").write_text("quick")
    assert (tmp_path / "here" / "a").read_text() == "quick"
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
