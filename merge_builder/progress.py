"""How long work reports itself: a callable that the command line draws as a bar with the time left."""

from typing import Protocol


class Progress(Protocol):
    """Called as work proceeds; the same `stage` with `done == total` ends it."""

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        """`stage` is what people read ("reading experts"); `done` and `total` count `unit` ("B", "rows", "steps")."""


def silent(stage: str, done: int, total: int, unit: str) -> None:
    """Report nothing."""
