"""The way from one rung to another without both of them in memory: through rungs between, a few blocks at a time.

    rung_path(manifest, start=0, goal=81, limit=parse_bytes("200MiB"))     (40, 60, 81)

While a server changes rung, it holds what either rung needs. Neighbouring rungs differ in one block, so every change
can be cut into steps whose sum is hardly more than the larger of its ends.
"""

from collections.abc import Iterable

from merge_builder.ladder.manifest import Manifest, Version
from merge_builder.ladder.rungs import Rung, rung_at


def rung_path(manifest: Manifest, start: int, goal: int, limit: int) -> tuple[int, ...]:
    """The rungs to go through, in order, the last being `goal`; () where `start` is the goal already.

    Of every step, the bytes of the versions that its two rungs need, with all heads, stay within `limit`: the way that
    is left is halved until it fits. Where `limit` does not even allow the step to the neighbour (a budget that has
    become smaller than what is held), that step is taken: it needs one block's versions more than the larger rung.
    """
    heads = sum(task.head.bytes for task in manifest.tasks)
    path, here = [], start
    while here != goal:
        step = goal - here
        while abs(step) > 1 and held_bytes((rung_at(manifest, here), rung_at(manifest, here + step))) + heads > limit:
            step = int(step / 2)
        here += step
        path.append(here)
    return tuple(path)


def held_bytes(rungs: Iterable[Rung]) -> int:
    """The bytes of all versions that some of `rungs` needs, without heads."""
    held: dict[tuple[str, str], Version] = {(v.block, v.id): v for rung in rungs for v in rung.stored()}
    return sum(version.bytes for version in held.values())


def missing_bytes(have: Rung, want: Rung) -> int:
    """The bytes of the versions that `want` needs and `have` does not: what a change reads."""
    return held_bytes((have, want)) - held_bytes((have,))
