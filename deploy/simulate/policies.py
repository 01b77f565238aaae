"""Which rung each node serves: the three policies that are compared, all by the product's own rung table and choice."""

from collections.abc import Callable, Mapping

from merge_builder.ladder import BudgetTooSmall, Manifest, RungSize, choose

Policy = Callable[[Manifest, int], RungSize | None]


def largest_rung(manifest: Manifest, budget: int) -> RungSize | None:
    """What the product does: the largest rung within `budget` bytes; None where none fits."""
    try:
        return choose(manifest, budget)
    except BudgetTooSmall:
        return None


def smallest_rung(manifest: Manifest, budget: int) -> RungSize | None:
    """The smallest rung, the same on every node that holds it."""
    return _if_held(min(manifest.rungs, key=lambda rung: (rung.bytes, rung.index)), budget)


def every_expert(manifest: Manifest, budget: int) -> RungSize | None:
    """All experts on the nodes that hold them; the others stay idle."""
    return _if_held(manifest.rungs[0], budget)


def _if_held(rung: RungSize, budget: int) -> RungSize | None:
    return rung if rung.bytes <= budget else None


POLICIES: Mapping[str, Policy] = {
    "largest rung per node": largest_rung,
    "1x everywhere": smallest_rung,
    "all experts": every_expert,
}
