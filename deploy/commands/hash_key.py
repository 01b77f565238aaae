"""`mergeladder hash-key`: the line that admits a key to a server."""

from typing import Annotated

import typer


def hash_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is; for people, and never sent.")],
) -> None:
    """Read a key from standard input and print its line for `mergeladder serve --keys FILE`.

    Example: [bold]openssl rand -hex 32 | tee alice.key | mergeladder hash-key alice >> keys.txt[/]
    """
    import sys

    from serving.api.keys import hash_key as line_of

    typer.echo(line_of(name, sys.stdin.readline().strip()))
