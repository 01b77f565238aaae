"""The JSON that tells the ladder: its tasks, and its rungs."""

from typing import Any

from pydantic import Field

from merge_builder.closed import Closed
from merge_builder.kind import Kind


class TaskInfo(Closed):
    """A task: the kind of its answers, its labels in the order of the logits, and the most tokens of an input."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    max_length: int


class TaskList(Closed):
    """Every task of the ladder."""

    tasks: list[TaskInfo]


class RungInfo(Closed):
    """A rung: its name, its size as a multiple of one model, and its exact bytes."""

    rung: str
    index: int
    ratio: float
    bytes: int


def _none(value: object) -> bool:
    return value is None


class RouterInfo(Closed):
    """What chooses the task of an input whose `tasks` are "auto".

    `accuracy` is the mean over the tasks of the share of texts that it gave to their own, on rows held out when it was
    trained, and `interval` its 95 % interval; `chance` is what blind choice would have.
    """

    accuracy: float
    interval: tuple[float, float]
    chance: float


class LadderInfo(Closed):
    """The ladder, the rung that answers now, and why it is that one."""

    name: str
    revision: str
    method: dict[str, Any]
    tasks: list[str]
    rungs: list[RungInfo]
    current: RungInfo
    budget: int | None = Field(description="Bytes of memory that the rung had to fit, where that decided.")
    reason: str
    router: RouterInfo | None = Field(default=None, exclude_if=_none)
