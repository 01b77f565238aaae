"""A note on disk of the rung that a replica is going to, so that one which dies of it does not die of it for ever.

Where the kernel kills a process for its memory, nothing of it is left to step down. The replica that Ray Serve starts
in its place finds the note, and goes to a smaller rung. The note of a living process, which is no death, is locked.
"""

import fcntl
import os
import tempfile
from pathlib import Path
from stat import S_ISDIR
from typing import TextIO

from merge_builder.errors import MergeLadderError
from merge_builder.ladder import Manifest, RungSize

# What is tried after a death: rungs of at most this share of the bytes that were too many.
SMALLER = 0.9
# The system's 107 bytes of a socket's path, less a replica's name as Ray makes them (eight letters).
LONGEST_FOLDER = 107 - len("/abcdefgh.sock")


class Attempt:
    """The note of one replica; `name` tells it from those of the node's other devices."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.going-to"
        self._note: TextIO | None = None

    def begin(self, rung: RungSize) -> None:
        """Note that the replica goes to `rung`; nothing, where another is on its way on the same device."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = self.path.open("a")
        if not _lock(note):
            note.close()
            return
        note.truncate(0)
        note.write(str(rung.index))
        note.flush()
        self._note = note

    def end(self) -> None:
        """It has survived."""
        if self._note is not None:
            self.path.unlink(missing_ok=True)
            self._note.close()
            self._note = None

    def died_of(self, manifest: Manifest) -> RungSize | None:
        """The rung that a replica of this name went to when it died; None if the last one survived."""
        try:
            with self.path.open() as note:
                return manifest.rungs[int(note.read())] if _lock(note) else None
        except (OSError, ValueError, IndexError):
            return None

    def largest_now(self, manifest: Manifest) -> RungSize | None:
        """The largest rung to try, where the last attempt was too much; None where all may be tried."""
        if (died := self.died_of(manifest)) is None:
            return None
        smaller = [rung for rung in manifest.rungs if rung.bytes <= SMALLER * died.bytes]
        return max(smaller, key=lambda rung: rung.bytes, default=min(manifest.rungs, key=lambda rung: rung.bytes))


def _lock(note: TextIO) -> bool:
    """Whether nobody held the note's lock; it is ours until the file is closed, or the process ends."""
    try:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def node_folder(revision: str, port: int) -> Path:
    """The folder that the replicas of a ladder share on this node, where they all listen on `port`.

    It is in a folder of this user's that nobody else may look into, which is made.

    Raises:
        MergeLadderError: somebody else has made that: what is in it could be links to other files. Or the path is too
            long for the replicas' sockets.
    """
    own = Path(tempfile.gettempdir()) / f"mergeladder-{os.getuid()}"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = own.lstat()
    if not S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise MergeLadderError(f"{own} is not a folder of this user's own: remove it, or set TMPDIR to another place")
    own.chmod(0o700)
    folder = own / f"{revision[:12]}-{port}"
    if len(os.fsencode(folder)) > LONGEST_FOLDER:
        raise MergeLadderError(f"{folder} is too long a path for sockets: set TMPDIR to a shorter one")
    return folder
