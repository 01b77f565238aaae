"""The one place where an error becomes a message on stderr, an exit code and, with `--json`, a document on stdout."""

import os
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass

import typer
from rich.markup import escape

from deploy.console import print_document, say
from merge_builder.errors import MergeLadderError

DEBUG = "MERGELADDER_DEBUG"


@dataclass(frozen=True)
class Failure:
    """What a failed command tells: the error's type, a message for people and the exit code."""

    type: str
    message: str
    exit_code: int


def failure(error: Exception) -> Failure:
    """`error` as people should read it. What nobody foresaw is named by its type, in one line."""
    name = type(error).__name__
    match error:
        case MergeLadderError():
            return Failure(name, str(error), error.exit_code)
        case typer.TyperException():
            return Failure(name, error.format_message().replace(": Value error, ", ": "), error.exit_code)
        case OSError() if error.strerror:
            where = f": {error.filename}" if error.filename else ""
            return Failure(name, f"{error.strerror}{where}", 1)
        case _:
            first_line = (str(error).splitlines() or [""])[0]
            hint = f"this is not an error we foresaw; set {DEBUG}=1 to see where it comes from"
            return Failure(name, f"{name}: {first_line} ({hint})", 1)


def report(error: Exception, *, as_json: bool) -> int:
    """Tell of `error` and return the exit code."""
    told = failure(error)
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error, file=sys.stderr)
    if told.message:  # typer has none where it has shown the help instead
        say(f"[bold red]error:[/] {escape(told.message)}")
    if as_json:
        with suppress(OSError):  # what failed may have been stdout itself
            print_document({"error": {"type": told.type, "message": told.message, "exit_code": told.exit_code}})
    return told.exit_code
