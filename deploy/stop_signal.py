"""How a command that runs until it is stopped is told to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def on_stop_signal(stopped: threading.Event) -> Iterator[None]:
    """Sets `stopped` at the first SIGINT or SIGTERM; a second one acts as it did before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        restore()
        stopped.set()

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
