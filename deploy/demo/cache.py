"""The user's cache folder, where the demo keeps what it has made for the next time."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder of the demo's files: `MERGELADDER_CACHE`, or the user's own cache folder."""
    override = os.environ.get("MERGELADDER_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("mergeladder"))


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `target` when the block ends well and is removed when it does not.

    Where another process has made `target` meanwhile, that one stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as work:
        folder = Path(work) / target.name
        folder.mkdir()
        yield folder
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():
                raise
