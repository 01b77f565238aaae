"""The cgroups that hold this process, where their limits can be read."""

from collections.abc import Iterator
from pathlib import Path


def groups_above(controller: str, proc: Path, cgroups: Path) -> Iterator[tuple[Path, int]]:
    """The folder of every group above this process, innermost first, and the version of cgroups it is of.

    `controller` is "memory" or "cpu"; `proc` and `cgroups` are where procfs and the cgroup file system are mounted. A
    folder need not be there.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:  # id:controllers:path; of v2 without controllers
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from ((folder, 2) for folder in _upwards(cgroups, path))
        elif controller in controllers.split(","):
            yield from ((folder, 1) for folder in _upwards(cgroups / controller, path))


def _upwards(root: Path, path: str) -> Iterator[Path]:
    # In a container the path may be the host's, of which nothing is mounted here but the root: folders that are missing
    # are for the caller to pass over.
    inner = root / path.lstrip("/")
    for folder in (inner, *inner.parents):
        if not folder.is_relative_to(root):
            return
        yield folder
