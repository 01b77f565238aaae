"""All replicas of a ladder, as the HTTP interface sees them: what each serves, and changes of their rungs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

BudgetSource = Literal["config", "admin"]  # the deployed configuration; /admin/v1/budget


@dataclass(frozen=True)
class Change:
    """One change of rung: the rungs it leads from and to, by name, and how far it is.

    `reached` is the rung that answers since the last step; `bytes_read` are those of the versions that were not held.
    """

    id: str
    start: str
    goal: str
    reached: str
    state: Literal["running", "done", "failed"] = "running"
    bytes_read: int = 0
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class NodeStatus:
    """One replica and where it runs.

    `address` is where it answers itself, `group` the node's own label of that name. `budget` (bytes), `rung` and
    `ratio` are None on a node that serves no rung; `reason` says why. `bytes` tells the rung's memory by who uses it.
    `budget_source` is who last said what the budget, or the rung, is to be.
    """

    id: str
    node: str
    group: str | None
    device: str
    address: str
    ready: bool
    budget: int | None
    rung: str | None
    ratio: float | None
    bytes: Mapping[str, int]
    tasks: Sequence[str]
    reason: str
    change: Change | None
    budget_source: BudgetSource = "config"


@dataclass(frozen=True)
class Asked:
    """What an operator asks of a node: a budget (a size, or a share of its memory) or a rung."""

    budget: str | None = None
    rung: str | None = None


@dataclass(frozen=True)
class Begun:
    """A change that a replica has begun, from rung to rung."""

    replica: str
    operation: str
    start: str
    goal: str


class Fleet(Protocol):
    """Every replica that answers for one ladder."""

    async def nodes(self) -> Sequence[NodeStatus]:
        """Each replica's status."""
        ...

    async def change(self, asked: Asked, where: str) -> Sequence[Begun]:
        """Begin to change the rung of the replicas `where`: a replica's id, a node, a group, or "all".

        All of them or none.

        Raises:
            UnknownNode: there is no such replica.
            RungDoesNotFit: `asked` is not to be had there; the message names the node.
            ChangeUnderWay: one of them is changing already.
        """
        ...
