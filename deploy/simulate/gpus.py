"""What a GPU, a MIG slice or a fraction of one holds and how fast it is, from public peak figures (`gpus.yaml`)."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field

from merge_builder.closed import Closed
from merge_builder.errors import InputError
from merge_builder.ladder import parse_bytes
from merge_builder.names import nearest

REFERENCE = "t4-16gb"  # speeds are told in multiples of this one
_SLICE = re.compile(r"([1-7])g\.(\d+)gb")


def _checked(text: str) -> str:
    try:
        parse_bytes(text)
    except InputError as error:
        raise ValueError(str(error)) from error
    return text


Size = Annotated[str, AfterValidator(_checked)]


class Gpu(Closed):
    """A GPU by its memory, half-precision TFLOP/s and GB/s of memory."""

    memory: Size
    tflops: float = Field(gt=0)
    gb_per_s: float = Field(gt=0)

    @property
    def speed(self) -> float:
        """In T4s: the lesser of what its arithmetic and its memory allow, for a batch needs both."""
        reference = known_gpus()[REFERENCE]
        return min(self.tflops / reference.tflops, self.gb_per_s / reference.gb_per_s)


def find_gpu(name: str) -> Gpu:
    """The GPU of that name in the table.

    Raises:
        InputError: there is none; the message tells the nearest.
    """
    known = known_gpus()
    if name not in known:
        raise InputError(
            f"unknown GPU {name!r}{nearest(name, known)}: known are {', '.join(known)}, and any other is written as "
            "{memory: 24GiB, tflops: 100, gb_per_s: 500}"
        )
    return known[name]


def mig_slice(gpu: Gpu, profile: str) -> tuple[Gpu, float]:
    """The slice `profile` ("1g.10gb") of `gpu` and its share of the GPU: sevenths of arithmetic, eighths of memory.

    Raises:
        InputError: not a profile, or larger than the GPU.
    """
    match = _SLICE.fullmatch(profile)
    whole = parse_bytes(gpu.memory)
    if match is None or int(match[2]) << 30 > 1.02 * whole:
        raise InputError(f"{profile!r} is no MIG slice of a GPU with {gpu.memory}: write one such as 1g.10gb")
    share = int(match[1]) / 7
    eighths = max(1, round(8 * (int(match[2]) << 30) / whole)) / 8
    return part_of(gpu, arithmetic=share, memory=eighths), share


def part_of(gpu: Gpu, *, arithmetic: float, memory: float) -> Gpu:
    """A part of `gpu` with these shares of its arithmetic and of its memory and bandwidth."""
    size = str(int(parse_bytes(gpu.memory) * memory))
    return Gpu(memory=size, tflops=gpu.tflops * arithmetic, gb_per_s=gpu.gb_per_s * memory)


@cache
def known_gpus() -> dict[str, Gpu]:
    """The table by name."""
    table = yaml.safe_load(Path(__file__).with_name("gpus.yaml").read_text(encoding="utf-8"))
    return {name: Gpu.model_validate(row) for name, row in table.items()}
