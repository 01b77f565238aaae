"""Fetching pinned wheels: real pip, from a folder instead of the registry."""

import dataclasses
import shutil
import tarfile
import threading
from pathlib import Path

import pytest

from deploy.demo.cache import cache_folder
from deploy.demo.packages import Package, bytes_under, fetch
from merge_builder.errors import MergeLadderError
from merge_builder.progress import silent


def test_a_wheel_is_fetched_once_and_then_taken_from_the_cache(registry: Path, make_package) -> None:
    package = make_package("tiny-data", {"tiny_data/rows.csv": "a,b\n"})
    sent = next(registry.iterdir())
    content = sent.read_bytes()
    first = fetch(package, silent)
    assert first.read_bytes() == content
    assert first.is_relative_to(cache_folder())
    sent.unlink()
    assert fetch(package, silent) == first


def test_the_progress_ends_at_the_size(make_package) -> None:
    package = make_package("tiny-data", {"tiny_data/rows.csv": "a,b\n"})
    told: list[tuple[int, int, str]] = []
    fetch(package, lambda _, *what: told.append(what))
    assert told[-1] == (package.size, package.size, "B")
    assert all(done < total for done, total, _ in told[:-1])


def test_another_file_than_the_pinned_one_is_refused_and_not_kept(make_package) -> None:
    package = dataclasses.replace(make_package("tiny-data", {"x.csv": "a"}), sha256="0" * 64)
    with pytest.raises(MergeLadderError, match=r"tiny-data 1\.0: .*SHA-256"):
        fetch(package, silent)
    assert not list(cache_folder().rglob("*.whl"))


@pytest.mark.usefixtures("registry")
def test_a_package_that_cannot_be_had_is_named() -> None:
    with pytest.raises(MergeLadderError, match=r"cannot fetch the package not-there 2\.0, .*not-there==2\.0"):
        fetch(Package("not-there", "2.0", "0" * 64, 10), silent)
    assert not [path for path in cache_folder().rglob("*") if path.is_file()]


def test_a_package_without_a_wheel_is_refused_and_its_code_is_not_run(registry: Path, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    source = tmp_path / "source-only-1.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(marker)!r}, 'w')\nfrom setuptools import setup\nsetup()\n")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: source-only\nVersion: 1.0\n")
    with tarfile.open(registry / "source-only-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, arcname="source-only-1.0")
    with pytest.raises(MergeLadderError, match="source-only"):
        fetch(Package("source-only", "1.0", "0" * 64, 10), silent)
    assert not marker.exists()


def test_folders_that_vanish_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "stays").mkdir()
    (tmp_path / "stays" / "file").write_bytes(b"four")
    ended = threading.Event()

    def churn() -> None:
        while not ended.is_set():
            for number in range(20):
                (tmp_path / f"{number}/a/b").mkdir(parents=True)
            for number in range(20):
                shutil.rmtree(tmp_path / f"{number}")

    other = threading.Thread(target=churn)
    other.start()
    try:
        assert {bytes_under(tmp_path) for _ in range(500)} == {4}
    finally:
        ended.set()
        other.join()
