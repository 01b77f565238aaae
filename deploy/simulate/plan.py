"""What a policy makes of a fleet: the nodes that serve, with their rungs, times and scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.simulate.fleet import Fleet, Kind, kinds_of
from deploy.simulate.load import Load
from deploy.simulate.policies import POLICIES
from deploy.simulate.queues import Nodes
from deploy.simulate.scale import Scale
from deploy.simulate.scores import Scores
from deploy.simulate.service_times import ServiceTimes
from merge_builder.ladder import Manifest, RungSize

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """One policy. `rungs[k]` is what nodes of `kinds[k]` serve, None if they stay idle.

    `seconds[k, n]` is the time of a batch of n requests there and `scores[k, t]` the score of task t; both are zero
    where a kind stays idle.
    """

    policy: str
    kinds: Sequence[Kind]
    rungs: Sequence[RungSize | None]
    seconds: Floats
    scores: Floats

    def serving(self, counts: Sequence[int]) -> list[int]:
        """Of `counts` nodes of each kind, those that serve."""
        return [0 if rung is None else count for count, rung in zip(counts, self.rungs, strict=True)]

    def nodes(self, counts: Sequence[int], load: Load) -> Nodes:
        """The queues' view of `counts` nodes of each kind, those that stay idle left out."""
        return Nodes(
            kind=np.repeat(np.arange(len(self.kinds)), self.serving(counts)),
            seconds=self.seconds,
            most_queued=max(1, load.max_queued_tokens // load.tokens_per_request),
            deadline_seconds=load.deadline_seconds,
            step_seconds=load.step_seconds,
            routing=load.routing,
        )


def plans_for(
    manifest: Manifest, scores: Scores, fleet: Fleet, load: Load, times: ServiceTimes, scale: Scale
) -> Mapping[str, Plan]:
    """A plan for each policy, by its name. Budgets are scaled down in place of the ladder's bytes up."""
    kinds = kinds_of(fleet)
    tokens = np.arange(1, load.batch + 1, dtype=np.float64) * load.tokens_per_request
    reference = fleet.reference_flops / times.operations_per_second  # of a T4, in machines that were measured
    plans = {}
    for name, policy in POLICIES.items():
        rungs = [policy(manifest, int(kind.budget / scale.bytes)) for kind in kinds]
        seconds = np.zeros((len(kinds), load.batch + 1))
        by_kind = np.zeros((len(kinds), len(scores.tasks)))
        for number, (kind, rung) in enumerate(zip(kinds, rungs, strict=True)):
            if rung is not None:
                measured = times.seconds(rung.ratio, tokens)
                seconds[number, 1:] = measured * scale.seconds / (kind.speed * reference)
                by_kind[number] = scores.at(rung)
        plans[name] = Plan(name, kinds, rungs, seconds, by_kind)
    return plans
