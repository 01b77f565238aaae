"""What people read: one console on stderr, so that stdout carries nothing but the documents of `--json`."""

import errno
import json
import sys
from typing import Any

from rich.console import Console

console = Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Print a line of markup for people; long lines are left to the terminal to wrap."""
    console.print(message, soft_wrap=True)


def print_document(document: Any) -> None:
    """Write the one JSON document of a command that was called with `--json`, on stdout.

    Raises:
        OSError: stdout is closed, or the disk behind it full.
    """
    if sys.stdout is None:  # a shell's >&-
        raise OSError(errno.EBADF, "standard output is closed")
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    sys.stdout.flush()
