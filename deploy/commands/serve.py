"""`mergeladder serve`: answer over HTTP with the largest rung that fits."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.options import DtypeOption, LadderFolder


def serve(
    ladder: LadderFolder,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory for the model's weights, such as 300MiB or 1.5GB, or a share of what is free, such as 0.8: "
            "the largest rung that fits.",
        ),
    ] = None,
    rung: Annotated[
        str | None,
        typer.Option(help="A size ratio, such as 2.0, or an index, such as '#37', in place of a budget."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    keys: Annotated[
        Path | None, typer.Option(help="A file of bearer keys, made by `mergeladder hash-key`: only they may ask.")
    ] = None,
    admin_keys: Annotated[Path | None, typer.Option(help="As --keys, for the routes under /admin.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let anyone ask who can reach --host.")] = False,
    dtype: DtypeOption = "float32",
    no_ray: Annotated[
        bool,
        typer.Option(
            "--no-ray",
            help="In this one process: starts sooner and takes less memory, and nothing starts it again if it dies.",
        ),
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Write the Serve configuration for `serve deploy` instead.")
    ] = False,
) -> None:
    """Serve a ladder over HTTP on this machine. Without --budget or --rung the machine's free memory decides.

    Example: [bold]mergeladder serve ladder/ --budget 300MiB[/], then
    [bold]curl localhost:8000/v1/tasks/sst2/predict -d '{"inputs": ["a fine film"]}'[/]

    Ctrl-C finishes the requests that are under way, for half a minute at most, and leaves with exit code 0.

    With [bold]--no-ray[/] have a container's restart policy or systemd look after it.
    """
    from deploy.access import Access
    from deploy.sizing import Sizing
    from merge_builder.errors import InputError

    if no_ray and print_config:
        raise InputError("--print-config writes what Ray Serve is to deploy, and --no-ray does without: leave one out")
    access, sizing = Access(keys, admin_keys, insecure), Sizing(budget=budget, rung=rung)
    if no_ray:
        from deploy.alone import serve_alone

        serve_alone(ladder, sizing, host=host, port=port, access=access, dtype=dtype)
        return
    from deploy.local import local_config, serve_until_stopped

    if print_config:
        sys.stdout.write(local_config(ladder, sizing, host=host, port=port, access=access, dtype=dtype))
    else:
        serve_until_stopped(ladder, sizing, host=host, port=port, access=access, dtype=dtype)
