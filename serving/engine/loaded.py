"""All of the engine that changes with the rung."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from merge_builder.ladder import Ladder, Rung
from serving.engine.layout import StageLayout, lay_out
from serving.engine.plan import StagePlan, plan_batch
from serving.engine.reconstruct import Scratch, id_for, weights_in_use
from serving.engine.routed import Weights
from serving.engine.skeleton import Skeleton
from serving.engine.types import Dtype, Input
from serving.engine.weights import Held, load_versions

_MOST_PLANS = 512  # some 17 kB each where eight tasks are asked

Plan = tuple[StagePlan, ...]


@dataclass(frozen=True)
class Loaded:
    """One rung, ready for use; the engine holds it by one reference.

    `plans` keeps those of lone inputs, by length and tasks: they are made anew again and again, each in a third of a
    millisecond, and a lone request has nobody to share that with.
    """

    rung: Rung
    layouts: tuple[StageLayout, ...]
    held: Held
    scratch: Scratch | None
    weights: Weights
    plans: dict[tuple[int, tuple[str, ...]], Plan] = field(default_factory=dict)

    def plan(self, batch: Sequence[Input], whole: Collection[str]) -> Plan:
        """The plan of all stages but the pooler's for a batch; `whole`, always the same, is as in `plan_batch`."""
        lone = (batch[0].length, batch[0].tasks) if len(batch) == 1 else None
        if lone is not None and (known := self.plans.get(lone)) is not None:
            return known
        plan = plan_batch(self.layouts[:-1], [item.length for item in batch], [item.tasks for item in batch], whole)
        if lone is not None and len(self.plans) < _MOST_PLANS:
            self.plans[lone] = plan
        return plan


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
        layouts=lay_out(skeleton.units, ids, sizes, skeleton.merges),
        held=held,
        scratch=scratch,
        weights=weights_in_use(rung, held, scratch),
    )
