"""A scale that may depend on how many experts a group has."""

from typing import Annotated

import numpy as np
from pydantic import Field

Factor = Annotated[float, Field(ge=0, le=100)]
Members = Annotated[int, Field(ge=2)]
# One factor for all groups, or factors for some group sizes: {2: 1.0, 4: 1.3}.
Scale = Factor | Annotated[dict[Members, Factor], Field(min_length=1)]


def scale_for(scale: Scale, members: int) -> np.float32:
    """The factor for a group of `members`: linear between the sizes that are given, level outside them."""
    if not isinstance(scale, dict):
        return np.float32(scale)
    sizes = sorted(scale)
    return np.float32(np.interp(members, sizes, [scale[size] for size in sizes]))
