"""`mergeladder simulate`: what a fleet of unequal GPUs would do with a ladder and a day's load."""

import json
from pathlib import Path
from typing import Annotated

import typer

from deploy.console import console, print_document, say
from deploy.options import AsJson, LadderFolder


def simulate(
    ladder: LadderFolder,
    fleet: Annotated[Path, typer.Option(metavar="FLEET.yaml", help="The nodes: groups of GPUs, MIG slices, shares.")],
    load: Annotated[Path, typer.Option(metavar="LOAD.yaml", help="The day's requests, their deadline and routing.")],
    times: Annotated[
        Path, typer.Option(metavar="TIMES.json", help="Measured: what benchmarks/server/service_times.py wrote.")
    ],
    parameters: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT",
            help="As if one model had so many parameters, such as 7B, of 2 bytes; sizes keep their ratios.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all chance: the same seed gives the same figures.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write simulation.json and simulation.svg there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the largest rung on every node with 1x everywhere and with all experts: answers in time, how many of them
    are right, and the GPUs that the peak needs. Nothing is served; needs the ladder's scores (mergeladder evaluate).

    Example: [bold]mergeladder simulate ladder/ --fleet examples/simulate/fleet.yaml --load examples/simulate/load.yaml
    --times examples/simulate/service_times.json --parameters 7B[/]
    """
    from deploy.simulate.documents import read_document
    from deploy.simulate.fleet import Fleet
    from deploy.simulate.load import Load
    from deploy.simulate.picture import draw
    from deploy.simulate.report import group_table, policy_table, simulation_document
    from deploy.simulate.scale import scale_to
    from deploy.simulate.service_times import ServiceTimes
    from deploy.simulate.simulation import simulate as run
    from merge_builder.checkpoints.files import write_atomic
    from merge_builder.ladder import open_ladder

    manifest = open_ladder(ladder).manifest
    nodes, day, measured = read_document(fleet, Fleet), read_document(load, Load), read_document(times, ServiceTimes)
    scale = scale_to(parameters, manifest, measured)
    with console.status("") as status:

        def tell(policy: str) -> None:
            status.update(f"simulating a day of {sum(group.nodes for group in nodes.groups)} nodes: {policy}")

        found = run(manifest, nodes, day, measured, scale, seed=seed, progress=tell)
    document = simulation_document(found)
    if out is not None:
        write_atomic(out / "simulation.json", json.dumps(document, indent=2).encode() + b"\n")
        write_atomic(out / "simulation.svg", draw(found).encode())
    if as_json:
        print_document(document)
        return
    for table in (group_table(found), policy_table(found)):
        console.print(table)
        console.print()
    say(f"service times were measured on {measured.machine}; the GPUs' speeds are assumptions (see docs/scale.md)")
