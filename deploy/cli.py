"""The `mergeladder` command. Every command has its own file, which imports what it needs only when it runs."""

import os
import sys
from typing import Annotated

import typer

from deploy.commands.build import build
from deploy.commands.demo import demo
from deploy.commands.evaluate import evaluate
from deploy.commands.export import export
from deploy.commands.hash_key import hash_key
from deploy.commands.inspect import inspect
from deploy.commands.merge import merge
from deploy.commands.report import report as write_report
from deploy.commands.serve import serve
from deploy.commands.simulate import simulate
from deploy.commands.tune import tune
from deploy.commands.verify import verify
from deploy.errors import report

app = typer.Typer(
    name="mergeladder",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, build, inspect, verify, evaluate, write_report, tune, serve, simulate, hash_key, export, merge):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mergeladder {version('mergeladder')}")
        raise typer.Exit


@app.callback()
def about(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and leave.")
    ] = False,
) -> None:
    """Merge M fine-tuned models of one base into a ladder of every size from 1x (one shared model) to Mx (all
    experts), and serve the largest rung that fits.

    Start with [bold]mergeladder demo[/]: real models from end to end, in minutes.

    Exit codes: 0 done, 1 failed, 2 bad usage or bad input.
    """


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        code = app(args=arguments, prog_name="mergeladder", standalone_mode=False)
    except Exception as error:
        return report(error, as_json="--json" in arguments)
    return code if isinstance(code, int) else 0


def main() -> None:
    """The entry point that the package installs as `mergeladder`."""
    # Threads of a matrix product that wait for each other must not spin: on a machine that does other work too, they
    # take the very time that they wait for, and a batch takes ten times as long. Read when torch is loaded, here and
    # in every process that Ray starts.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))
