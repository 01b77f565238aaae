"""All of the engine that changes with the rung."""

from dataclasses import dataclass

from merge_builder.ladder import Ladder, Rung
from serving.engine.layout import StageLayout, lay_out
from serving.engine.reconstruct import Scratch, id_for, weights_in_use
from serving.engine.routed import Weights
from serving.engine.skeleton import Skeleton
from serving.engine.types import Dtype
from serving.engine.weights import Held, load_versions


@dataclass(frozen=True)
class Loaded:
    """One rung, ready for use; the engine holds it by one reference."""

    rung: Rung
    layouts: tuple[StageLayout, ...]
    held: Held
    scratch: Scratch | None
    weights: Weights


def load_rung(ladder: Ladder, skeleton: Skeleton, rung: Rung, have: Held, device: str, dtype: Dtype) -> Loaded:
    """Load a rung; of the versions that it uses only those are read that `have` lacks.

    Raises:
        MergeLadderError: a stored file is missing or broken.
    """
    held = load_versions(ladder, rung.stored(), have, device, skeleton.matrices if dtype == "int8" else ())
    made = [spec for b in ladder.manifest.blocks if b.name in rung.bases for spec in b.tensors]
    scratch = Scratch(made, skeleton.tables, device) if rung.bases else None
    ids = {block: {task: id_for(v, task) for task, v in tasks.items()} for block, tasks in rung.versions.items()}
    sizes = {block.name: block.bytes for block in ladder.manifest.blocks}
    return Loaded(
        rung=rung,
        layouts=lay_out(skeleton.units, ids, sizes),
        held=held,
        scratch=scratch,
        weights=weights_in_use(rung, held, scratch),
    )
