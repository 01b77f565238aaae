"""The whole comparison: every policy's day on one fleet, and the fleet that each needs for the peak.

simulation = simulate(ladder.manifest, fleet, load, times, scale, seed=0)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.simulate.day import Day, simulate_day
from deploy.simulate.fleet import Fleet
from deploy.simulate.load import Load
from deploy.simulate.needed import nodes_needed
from deploy.simulate.plan import Plan, plans_for
from deploy.simulate.scale import Scale
from deploy.simulate.scores import scores_of
from deploy.simulate.service_times import ServiceTimes
from merge_builder.errors import InputError
from merge_builder.ladder import Manifest, format_bytes


@dataclass(frozen=True)
class Outcome:
    """One policy: what its nodes serve, its day, and the nodes of each kind that the peak needs (None: no number)."""

    plan: Plan
    day: Day
    needed: Sequence[int] | None

    @property
    def gpus(self) -> float:
        """Whole GPUs of the fleet; a slice or a fraction counts as the share that it is."""
        return self._gpus([kind.nodes for kind in self.plan.kinds])

    @property
    def serving_gpus(self) -> float:
        """Of those, the ones that serve."""
        return self._gpus(self.plan.serving([kind.nodes for kind in self.plan.kinds]))

    @property
    def needed_gpus(self) -> float | None:
        """Whole GPUs that the peak needs, in the fleet's proportions, idle ones included."""
        return None if self.needed is None else self._gpus(self.needed)

    @property
    def needed_serving_gpus(self) -> float | None:
        """Of those, the ones that serve."""
        return None if self.needed is None else self._gpus(self.plan.serving(self.needed))

    def capacity(self, load: Load) -> float:
        """Requests a second while every batch is full."""
        return float(self.plan.nodes([kind.nodes for kind in self.plan.kinds], load).capacity.sum())

    def _gpus(self, counts: Sequence[int]) -> float:
        return sum(count * kind.share for count, kind in zip(counts, self.plan.kinds, strict=True))


@dataclass(frozen=True)
class Simulation:
    """What was simulated and what came of it, by policy."""

    load: Load
    scale: Scale
    seed: int
    outcomes: Mapping[str, Outcome]


def simulate(
    manifest: Manifest,
    fleet: Fleet,
    load: Load,
    times: ServiceTimes,
    scale: Scale,
    *,
    seed: int,
    progress: Callable[[str], None],
) -> Simulation:
    """Every policy under the same arrivals; equal arguments give equal bits. `progress` is told each policy's name.

    Raises:
        InputError: the ladder lacks scores, or no node of the fleet holds any rung.
    """
    scores = scores_of(manifest)
    experts = scores.at(manifest.rungs[0])
    plans = plans_for(manifest, scores, fleet, load, times, scale)
    if not any(rung for plan in plans.values() for rung in plan.rungs):
        least = int(min(rung.bytes for rung in manifest.rungs) * scale.bytes)
        raise InputError(
            f"no node of this fleet holds any rung: the smallest takes {format_bytes(least)} of weights, and the "
            f"largest node has {format_bytes(max(kind.budget for kind in next(iter(plans.values())).kinds))} for them"
        )
    outcomes = {}
    for name, plan in plans.items():
        progress(name)
        day = simulate_day(plan, load, experts, scores.shares, seed)
        outcomes[name] = Outcome(plan, day, nodes_needed(plan, load, len(experts), seed))
    return Simulation(load, scale, seed, outcomes)
