"""The replicas of a deployment as one fleet: each reaches all by a broadcast over Ray Serve, itself included."""

from collections.abc import Sequence
from typing import Any, Protocol

from ray import serve
from ray.serve.exceptions import RayServeException

from merge_builder.errors import MergeLadderError
from serving.errors import UnknownNode
from serving.fleet import Asked, Begun, NodeStatus

# A broadcast waits for the slowest replica; one that does not answer in time is left out of what is told.
PATIENCE_SECONDS = 10.0


class OwnStatus(Protocol):
    """What a replica knows without asking anybody."""

    def status(self) -> NodeStatus:
        """How it is itself."""
        ...


class RayFleet:
    """All replicas of `deployment` in `application`; while Ray Serve names none of them, the own one alone."""

    def __init__(self, application: str, deployment: str, own: OwnStatus) -> None:
        self._application, self._deployment, self._own = application, deployment, own
        self._handle: Any = None

    async def nodes(self) -> Sequence[NodeStatus]:
        """Each replica's status, by node and replica."""
        try:
            told = [status for status in await self._ask("status") if isinstance(status, NodeStatus)]
        except RayServeException:  # while a config deploy is under way, no replica counts as running
            told = []
        return sorted(told or [self._own.status()], key=lambda status: (status.node, status.id))

    async def change(self, asked: Asked, where: str) -> Sequence[Begun]:
        """As `serving.fleet.Fleet`: every replica is asked whether it could before any begins."""
        answers = await self._ask("check_change", asked, where)
        for problem in answers:
            if isinstance(problem, Exception):
                raise problem
        if not any(answers):
            known = sorted(
                {name for status in await self.nodes() for name in (status.id, status.node, status.group or "")}
            )
            raise UnknownNode(f"no replica is meant by {where!r}: there are {', '.join(filter(None, known))}", "node")
        begun = [change for change in await self._ask("begin_change", asked, where) if isinstance(change, Begun)]
        if not begun:
            raise MergeLadderError("no replica began the change; look at /v1/nodes and ask again")
        return sorted(begun, key=lambda change: change.replica)

    async def _ask(self, method: str, *arguments: object) -> list[Any]:
        if self._handle is None:  # not in the constructor: there the replica does not count as one yet
            self._handle = serve.get_deployment_handle(self._deployment, self._application)
        answers: list[Any] = await self._handle.broadcast(method, *arguments).results_async(
            timeout_s=PATIENCE_SECONDS, return_exceptions=True
        )
        return answers
