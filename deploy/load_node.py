"""A node with its engine loaded. It brings torch and transformers along: imported only where a model is to run."""

from deploy.app_args import AppArgs
from deploy.attempt import Attempt
from deploy.memory import free_for_weights
from deploy.node import Node, Place
from deploy.sizer import Sizer
from deploy.workspace import measure_workspace
from merge_builder.ladder import Ladder, rung_at
from serving.engine.engine import load_engine
from serving.service import MAX_BATCH_TOKENS, Choice, Service


def load_node(args: AppArgs, ladder: Ladder, place: Place, attempt: Attempt) -> Node:
    """The node of `ladder` at `place`, on its device, at the smallest rung; `Node.settle` takes it to another.

    Raises:
        InputError, MergeLadderError: as `serving.engine.engine.load_engine`.
    """
    smallest = min(ladder.manifest.rungs, key=lambda rung: rung.bytes)
    engine = load_engine(ladder, rung_at(ladder.manifest, smallest.index), device=place.device, dtype=args.dtype)
    sizer = Sizer(
        ladder.manifest,
        attempt,
        memory=lambda: free_for_weights(place.device, engine.bytes_private),
        workspace=lambda: measure_workspace(engine, MAX_BATCH_TOKENS),
        expansion=sum(engine.bytes_loaded.values()) / smallest.bytes,
    )
    return Node(Service(engine, Choice(budget=None, reason="starting at the smallest rung")), place, sizer)
