"""Modules that a layer's attention applies to something else than its tokens: relative positions, mostly.

Such a module is a routed twin like any other, but what it makes belongs to whole sequences: one result for each version
that the plan has at work, for the sequences that go by it. An adapter lists those with `stretches` and computes each
result within `alone`, by transformers' own code:

for stretch in stretches([model.relative_bias], lengths):
    with stretch.alone():
        bias = model.relative_bias(buckets)  # by the one version for the sequences of this stretch
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from serving.engine.attention import Lengths
from serving.engine.layout import Unit, VersionIds
from serving.engine.plan import Run
from serving.engine.routed import Route, Routed, RoutedParameter


@dataclass(frozen=True)
class Stretch:
    """`count` neighbouring sequences of `length` tokens, of which the first is at `start`, that go by `versions`."""

    start: int
    count: int
    length: int
    versions: Mapping[Unit, VersionIds]
    route: Route

    @property
    def key(self) -> tuple[VersionIds, ...]:
        """Equal for stretches that go by the same versions."""
        return tuple(self.versions.values())

    @property
    def end(self) -> int:
        """One past its last token."""
        return self.start + self.count * self.length

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The modules compute by this stretch's versions alone, whatever they are applied to."""
        before = self.route.runs
        self.route.runs = {unit: (Run(ids, ()),) for unit, ids in self.versions.items()}
        try:
            yield
        finally:
            self.route.runs = before


def stretches(modules: Iterable[nn.Module], lengths: Lengths) -> list[Stretch]:
    """The sequences of a layer, parted wherever another version of any of the `modules` sets in."""
    twins = [twin for module in modules for twin in module.modules() if isinstance(twin, Routed | RoutedParameter)]
    route = twins[0].route
    at = {twin.unit: _beginnings(route.runs[twin.unit]) for twin in twins}
    cuts = sorted({start for begin in at.values() for start, _ in begin})
    found = []
    first = 0
    for count, length in lengths:
        end = first + count * length
        parts = [first, *(cut for cut in cuts if first < cut < end), end]
        for start, stop in pairwise(parts):
            versions = {
                unit: begin[bisect_right(begin, start, key=lambda b: b[0]) - 1][1] for unit, begin in at.items()
            }
            found.append(Stretch(start, (stop - start) // length, length, versions, route))
        first = end
    return found


def lengths_of(parts: Sequence[Stretch]) -> Lengths:
    """The stretches as `attend` takes them."""
    return [(part.count, part.length) for part in parts]


def distances(length: int, device: torch.device) -> Tensor:
    """All distances between two tokens of a sequence, int64 of shape (2 length - 1,), the least first."""
    return torch.arange(1 - length, length, device=device)


def by_distance(values: Tensor) -> Tensor:
    """Spread values for `distances`, (..., 2 length - 1), over pairs: [..., i, j] is the value for distance j - i."""
    length = (values.shape[-1] + 1) // 2
    return values.unfold(-1, length, 1).flip(-2)


def _beginnings(runs: Sequence[Run]) -> list[tuple[int, VersionIds]]:
    """(first token, versions) of every slice, in the order of the tokens."""
    if len(runs) == 1:
        return [(0, runs[0].versions)]
    return sorted((start, run.versions) for run in runs for start, _ in run.slices)
