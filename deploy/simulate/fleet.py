"""The fleet: groups of equal nodes, each node one GPU, MIG slice or fraction of a GPU.

usable: 0.9                # of a node's memory: the rest is the driver's and the process's
workspace: 1GiB            # for the activations of the largest batch
utilisation: 0.35          # of a T4's peak arithmetic that the engine reaches, an assumption
groups:
  - {name: t4, gpu: t4-16gb, nodes: 300}
  - {name: mig, gpu: h100-80gb, slice: 1g.10gb, nodes: 70}
  - {name: shared, gpu: l4-24gb, fraction: 0.5, nodes: 100}
"""

from dataclasses import dataclass

from pydantic import Field, model_validator

from deploy.simulate.gpus import REFERENCE, Gpu, Size, find_gpu, mig_slice, part_of
from merge_builder.closed import Closed
from merge_builder.errors import InputError
from merge_builder.ladder import parse_bytes


class Group(Closed):
    """Nodes that are alike. `gpu` is a name in the table or a GPU by its figures."""

    name: str = Field(min_length=1)
    gpu: str | Gpu
    nodes: int = Field(ge=1, le=100_000)
    slice: str | None = None
    fraction: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _has_a_gpu(self) -> "Group":
        try:
            self.device()
        except InputError as error:
            raise ValueError(str(error)) from error
        return self

    def device(self) -> tuple[Gpu, float]:
        """What a node has, and the share of a whole GPU that it is."""
        whole = find_gpu(self.gpu) if isinstance(self.gpu, str) else self.gpu
        cut, share = (whole, 1.0) if self.slice is None else mig_slice(whole, self.slice)
        return part_of(cut, arithmetic=self.fraction, memory=self.fraction), share * self.fraction


class Fleet(Closed):
    """All groups, and what is taken off a node's memory before weights may have it."""

    usable: float = Field(default=0.9, gt=0, le=1)
    workspace: Size = "1GiB"
    utilisation: float = Field(default=0.35, gt=0, le=1)
    groups: tuple[Group, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> "Fleet":
        names = [group.name for group in self.groups]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two groups are named {min(twice)!r}: give each its own name")
        return self

    @property
    def reference_flops(self) -> float:
        """Operations a second that the engine reaches on the reference GPU, which all speeds are told in."""
        return self.utilisation * find_gpu(REFERENCE).tflops * 1e12


@dataclass(frozen=True)
class Kind:
    """The nodes of a group: how many, the bytes that each has for weights, its speed in T4s and its share of a GPU."""

    name: str
    nodes: int
    budget: int
    speed: float
    share: float


def kinds_of(fleet: Fleet) -> list[Kind]:
    """The groups of `fleet` with the memory that is left for weights."""
    kinds = []
    for group in fleet.groups:
        gpu, share = group.device()
        budget = int(parse_bytes(gpu.memory) * fleet.usable) - parse_bytes(fleet.workspace)
        kinds.append(Kind(group.name, group.nodes, max(budget, 0), gpu.speed, share))
    return kinds
