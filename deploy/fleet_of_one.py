"""One node as a fleet, where there is no other and none will come."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from serving.errors import UnknownNode
from serving.fleet import Asked, Begun, NodeStatus

if TYPE_CHECKING:
    from deploy.node import Node


class FleetOfOne:
    """`node` alone."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    async def nodes(self) -> Sequence[NodeStatus]:
        """Its status."""
        return [self._node.status()]

    async def change(self, asked: Asked, where: str) -> Sequence[Begun]:
        """As `serving.fleet.Fleet`."""
        place = self._node.place
        if not place.is_meant(where):
            raise UnknownNode(
                f"no replica is meant by {where!r}: there is {place.replica} alone, on {place.node}", "node"
            )
        await self._node.check(asked)
        return [self._node.begin(asked)]
