"""How long work reports itself: a callable that the command line draws as a bar with the time left."""

import threading
from typing import Protocol


class Progress(Protocol):
    """Called as work proceeds; the same `stage` with `done == total` ends it."""

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        """`stage` is what people read ("reading experts"); `done` and `total` count `unit` ("B", "rows", "steps")."""


def silent(stage: str, done: int, total: int, unit: str) -> None:
    """Report nothing."""


class Bytes:
    """The bytes of one stage that are done, told whenever some are added. Threads may add at once."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._progress, self._stage, self._total, self._done = progress, stage, total, 0
        self._lock = threading.Lock()
        self.add(0)

    def add(self, count: int) -> None:
        """Tell that `count` more are done."""
        with self._lock:
            self._done += count
            self._progress(self._stage, self._done, self._total, "B")
