"""Which rungs to evaluate: by default a few sizes that tell the whole curve."""

from collections.abc import Sequence

from merge_builder.ladder.budget import select
from merge_builder.ladder.manifest import Manifest, RungSize

_SMALL = (1.0, 1.25, 1.5)  # the curve bends most there


def rungs_to_evaluate(manifest: Manifest, wanted: Sequence[str] | None) -> list[RungSize]:
    """The rungs that `wanted` names as `--rung` does, by default 1, 1.25, 1.5, 2, 3, ... M; each once, from rung 0 on.

    Rung 0, the experts, is always among them: every other score is told relative to it.

    Raises:
        InputError: one of `wanted` is no rung of this ladder.
    """
    rungs = manifest.rungs
    if wanted is None:
        smallest = min(rung.ratio for rung in rungs)
        sizes = [*_SMALL, *range(2, len(manifest.tasks) + 1)]
        picked = [rungs[-1], *(select(manifest, str(size)) for size in sizes if size >= smallest)]
    else:
        picked = [select(manifest, name.strip()) for name in wanted]
    return sorted({rungs[0], *picked}, key=lambda rung: rung.index)
