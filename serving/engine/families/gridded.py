"""Where attention depends on an image's grid: images of one grid and one version of relative positions; biases."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

from torch import Tensor, nn

from serving.engine.relative import Stretch, stretches

# Rows and columns of patches, and whatever else images have to be alike in.
AnyGrid = TypeVar("AnyGrid", bound=tuple[int, ...])


def by_grid(
    modules: Sequence[nn.Module], images: Sequence[tuple[int, AnyGrid]], special: int
) -> Iterator[tuple[Stretch, AnyGrid]]:
    """A layer's `images` (how many, their grid), parted wherever another version of any of the `modules` sets in.

    An image has `special` tokens beside its patches.
    """
    lengths = [(count, special + grid[0] * grid[1]) for count, grid in images]
    ends = list(accumulate(count * length for count, length in lengths))
    number = 0
    for stretch in stretches(modules, lengths):
        while stretch.start >= ends[number]:
            number += 1
        yield stretch, images[number][1]


def biases_of(parts: Sequence[tuple[Stretch, AnyGrid]], make: Callable[[AnyGrid], Tensor]) -> list[Tensor]:
    """What `make(grid)` gives for each part by that part's own versions; made once where these and grids are equal."""
    made: dict[object, Tensor] = {}
    for stretch, grid in parts:
        if (key := (stretch.key, grid)) not in made:
            with stretch.alone():
                made[key] = make(grid)
    return [made[stretch.key, grid] for stretch, grid in parts]
