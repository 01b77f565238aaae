"""`mergeladder demo`: real models from end to end."""

from typing import Annotated

import typer


def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Two tasks and few training steps, to see that it runs.")] = (
        False
    ),
) -> None:
    """Fine-tune real experts, build a ladder, evaluate its rungs, serve it within a memory budget and ask it.

    Needs no account and no data of yours; the experts are kept in your cache folder for the next time.
    """
    from deploy.demo.run import run_demo

    run_demo(fast=fast)
