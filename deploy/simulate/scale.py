"""The ladder as if its model were larger: bytes and times in proportion to the parameters."""

import re
from dataclasses import dataclass

from deploy.simulate.service_times import ServiceTimes
from merge_builder.errors import InputError
from merge_builder.ladder import Manifest

BYTES = 2  # a parameter in half precision
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}


@dataclass(frozen=True)
class Scale:
    """How many times as many bytes every rung has, and how many times as long every batch takes."""

    bytes: float = 1.0
    seconds: float = 1.0


def scale_to(parameters: str | None, manifest: Manifest, times: ServiceTimes) -> Scale:
    """As if one model had `parameters` ("7B", "350M") of two bytes; the ladder as it is where None is given.

    All rungs keep their ratios, and all parameters are taken to be computed with for each token.

    Raises:
        InputError: not a number of parameters.
    """
    if parameters is None:
        return Scale()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmb]?)", parameters.strip().lower())
    if match is None or float(match[1]) == 0:
        raise InputError(f"{parameters!r} is not a number of parameters: write 350M or 7B")
    count = float(match[1]) * _UNITS[match[2]]
    one_model = sum(block.bytes for block in manifest.blocks)
    return Scale(count * BYTES / one_model, count / times.parameters)
