"""`mergeladder evaluate`: the accuracy of the rungs on rows of yours."""

import json
from pathlib import Path
from typing import Annotated

import typer

from deploy.console import console, print_document, say
from deploy.options import DtypeOption, LadderFolder


def evaluate(
    ladder: LadderFolder,
    data: Annotated[Path, typer.Option(metavar="DATA.yaml", help="Names a JSON Lines file for every task.")],
    rungs: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES", help="Size ratios or '#index', with commas between; 1,1.25,1.5,2,3,... if not given."
        ),
    ] = None,
    json_out: Annotated[
        str | None, typer.Option("--json", metavar="OUT.json", help="Write the scores there as JSON; - is stdout.")
    ] = None,
    dtype: DtypeOption = "float32",
) -> None:
    """Score every task at some rungs, relative to the experts, and keep the scores in the ladder.

    Example: [bold]mergeladder evaluate ladder/ --data data.yaml --rungs 1,2,4[/], where data.yaml is

    \b
      tasks:
        sst2: sst2.jsonl        # lines {"text": "...", "text_pair": "..." (optional), "label": "..."}
        squad: squad.jsonl      # lines {"question": "...", "context": "...", "answers": ["..."]}
        alike: alike.jsonl      # lines {"text": "...", "text_pair": "...", "score": 4.2}, for embeddings
        pets: pets.jsonl        # lines {"image": "photos/1.jpg", "label": "..."}, where the ladder is of images

    Scores of int8 are kept beside those of float32, and told relative to the experts in float32.

    What was scored before is not run again, and an interrupted evaluation goes on when run again.
    """
    from deploy.progress_bars import progress_bars
    from deploy.score_table import score_tables
    from merge_builder.checkpoints.files import write_atomic
    from merge_builder.evaluation import evaluate as score_rungs
    from merge_builder.evaluation import evaluation_document, load_data, rungs_to_evaluate, summarise
    from merge_builder.ladder import open_ladder
    from merge_builder.ladder.additions import Score

    opened = open_ladder(ladder)
    rows = load_data(data, opened)
    chosen = rungs_to_evaluate(opened.manifest, None if rungs is None else rungs.split(","))
    from deploy.runner import engine_runner  # torch, which takes seconds: after what may be wrong with the rows

    measure: list[Score] = []
    try:
        with progress_bars(console) as progress:
            runner = engine_runner(opened, dtype=dtype)
            scores = score_rungs(opened, chosen, rows, runner, progress, dtype)
            if dtype != "float32":
                measure = score_rungs(opened, opened.manifest.rungs[:1], rows, engine_runner(opened), progress)
    except KeyboardInterrupt:
        say("stopped: the scores so far are kept; run it again to go on")
        raise typer.Exit(1) from None
    for table in score_tables(summarise(opened.manifest, scores, measure), console.width):
        console.print(table)
        console.print()
    if json_out == "-":
        print_document(evaluation_document(opened, scores, dtype, measure))
    elif json_out is not None:
        document = json.dumps(evaluation_document(opened, scores, dtype, measure), indent=2)
        write_atomic(Path(json_out), document.encode() + b"\n")
