"""How a command that runs until it is stopped is told to stop."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_stop_signal(stopped: threading.Event) -> Iterator[None]:
    """Sets `stopped` at the first SIGINT or SIGTERM; a second one acts as it did before."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

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


@contextmanager
def interrupted_by_stop_signal(stopped: threading.Event) -> Iterator[None]:
    """Within the block SIGINT or SIGTERM set `stopped` and raise KeyboardInterrupt.

    Whoever wrote what the block calls may have swallowed that: look at `stopped` behind it.
    """

    def interrupt(*_: object) -> None:
        stopped.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_event() -> asyncio.Event:
    """Set at the first SIGINT or SIGTERM while the event loop runs; a second one acts by its default."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        stopped.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    return stopped
