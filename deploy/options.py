"""Arguments and options that several commands share, with one wording each."""

from pathlib import Path
from typing import Annotated, Literal

import typer

LadderFolder = Annotated[Path, typer.Argument(metavar="LADDER", help="The folder that `mergeladder build` wrote.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout; what people read stays on stderr.")
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="Memory for the model's weights, such as 300MiB or 1.5GB: the largest rung that fits."
    ),
]
DtypeOption = Annotated[
    Literal["float32", "int8"],
    typer.Option("--dtype", help="Of the weights that linear layers compute with; int8 is for the CPU."),
]
