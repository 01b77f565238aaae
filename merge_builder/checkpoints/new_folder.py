"""A checkpoint folder that appears whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from merge_builder.checkpoints.files import sync_folder
from merge_builder.errors import InputError, MergeLadderError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out`; it becomes `out` at the end of the `with`, or is gone after an error.

    Raises:
        InputError: `out` exists already.
        MergeLadderError: writing failed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already: choose a new folder")
    temporary = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(out)
        sync_folder(out.parent)
    except OSError as error:
        raise MergeLadderError(f"writing {out} failed: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
