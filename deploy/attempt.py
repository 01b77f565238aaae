"""A note on disk of the rung that a replica is going to, so that one which dies of it does not die of it for ever.

Where the kernel kills a process for its memory, nothing of it is left to step down. The replica that Ray Serve starts
in its place finds the note, and goes to a smaller rung.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from merge_builder.ladder import Manifest, RungSize

# What is tried after a death: rungs of at most this share of the bytes that were too many.
SMALLER = 0.9


@dataclass(frozen=True)
class Attempt:
    """The note of one replica; `name` tells it from the others of its node."""

    folder: Path
    name: str

    @property
    def path(self) -> Path:
        """The note's file."""
        return self.folder / f"{self.name}.going-to"

    def begin(self, rung: RungSize) -> None:
        """Note that the replica goes to `rung`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.write_text(str(rung.index))

    def end(self) -> None:
        """It has survived."""
        self.path.unlink(missing_ok=True)

    def died_of(self, manifest: Manifest) -> RungSize | None:
        """The rung that a replica of this name went to when it died; None if the last one survived."""
        try:
            return manifest.rungs[int(self.path.read_text())]
        except (OSError, ValueError, IndexError):
            return None

    def largest_now(self, manifest: Manifest) -> RungSize | None:
        """The largest rung to try, where the last attempt was too much; None where all may be tried."""
        if (died := self.died_of(manifest)) is None:
            return None
        smaller = [rung for rung in manifest.rungs if rung.bytes <= SMALLER * died.bytes]
        return max(smaller, key=lambda rung: rung.bytes, default=min(manifest.rungs, key=lambda rung: rung.bytes))


def node_folder(revision: str, port: int) -> Path:
    """The folder that the replicas of a ladder share on this node, where they all listen on `port`."""
    return Path(tempfile.gettempdir()) / f"mergeladder-{os.getuid()}" / f"{revision[:12]}-{port}"
