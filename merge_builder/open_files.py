"""How many files this process may have open: a build of M experts reads M, and writes 2M - 1 of every block at work."""

import resource
from contextlib import suppress
from pathlib import Path

from merge_builder.errors import InputError

_SPARE = 32  # for what libraries open meanwhile


def allow_many() -> None:
    """Raise this process's limit to what the system lets it have: shells start with 1024 or 256."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems let a process have fewer than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def at_once(most: int, files: int) -> int:
    """How many pieces of work, each of which opens `files` files, may run at once: at most `most`.

    Raises:
        InputError: not even one.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return most
    left = limit - sum(1 for _ in Path("/dev/fd").iterdir()) - _SPARE
    if left < files:
        raise InputError(
            f"{files} files have to be open at once, and this process may have {max(left, 0)} more (of {limit}): "
            "raise the limit (ulimit -n) and run the build again"
        )
    return min(most, left // files)
