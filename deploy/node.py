"""One replica as a node of a fleet: it sizes itself, changes its rung when told to or when memory does, and tells how
it is.

It knows no Ray: `deploy.replica` or `deploy.alone` gives it its names, `deploy.fleet` reaches it from other nodes.
"""

import asyncio
import logging
from dataclasses import dataclass

from deploy.sizer import Sizer
from deploy.sizing import Decision, Sizing, needs_memory
from deploy.watch import Steady
from merge_builder.errors import InputError
from merge_builder.ladder import BudgetTooSmall, RungSize
from serving.errors import RungDoesNotFit
from serving.fleet import Asked, Begun, BudgetSource, Change, NodeStatus
from serving.rung_change import RungChanger
from serving.rung_metrics import weights_held
from serving.service import Choice, Service

LOOK_SECONDS = 5.0
log = logging.getLogger("mergeladder.node")


@dataclass(frozen=True)
class Place:
    """Where a replica runs: its own id, its node's, the node's group, the device, and the URL it answers at."""

    replica: str
    node: str
    group: str | None
    device: str
    address: str

    def is_meant(self, where: str) -> bool:
        """Whether `where`, a replica's id, a node, a group or "all", means this place."""
        return where in ("all", self.replica, self.node, self.group)


class Node:
    """A replica's service and its rung. Where none fits the service is `out`, at the smallest rung to need little."""

    def __init__(self, service: Service, place: Place, sizer: Sizer) -> None:
        self.service, self.place, self.sizer = service, place, sizer
        self._changer = RungChanger(service)
        self._sizing = Sizing()
        self._source: BudgetSource = "config"
        self._refused: str | None = None  # why the last configuration is not followed, if it is not
        self._settling = asyncio.Lock()
        self._noting: asyncio.Task[None] | None = None

    @property
    def out(self) -> str | None:
        """Why no rung is served here, if none is."""
        return self.service.out

    async def settle(self, sizing: Sizing) -> None:
        """Go to the rung that the configured `sizing` means here, and be there on return; without one, be out.

        Raises:
            InputError: `sizing` is wrong, wherever it is tried.
        """
        self._refused = None
        async with self._settling:  # the last of several has the last word
            await self.sizer.measure(sizing)
            await self.changed()
            try:
                self._begin(self.sizer.decide(sizing))
            except BudgetTooSmall as error:
                self._go_out(str(error))
            self._sizing, self._source = sizing, "config"
            await self.changed()

    async def follow_config(self, sizing: Sizing) -> None:
        """As `settle`, of a replica that answers already: where it fails, stay and tell why."""
        try:
            await self.settle(sizing)
        except Exception as error:
            self.refuse_config(str(error))

    def refuse_config(self, problem: str) -> None:
        """Stay as it is: the configuration that was deployed last cannot be followed."""
        self._refused = f"the configuration that was deployed last is not followed: {problem}"
        log.error(self._refused)

    def _go_out(self, reason: str) -> None:
        """Take no more requests; those that were taken are answered."""
        log.warning("no rung fits here: %s", reason)
        self.service.out, self.service.ready = reason, False
        self._begin(Decision(self._smallest(), None, reason), into_service=False)

    async def check(self, asked: Asked) -> None:
        """Refuse what `begin` could not do.

        Raises:
            RungDoesNotFit: the rung, or any, does not fit here, or there is none of that name.
            ChangeUnderWay: another change has not ended.
        """
        sizing = Sizing(budget=asked.budget, rung=asked.rung)
        await self.sizer.measure(sizing)
        self._changer.check_free()
        try:
            self.sizer.decide(sizing)
        except InputError as error:
            raise RungDoesNotFit(f"node {self.place.node}: {error}", "rung" if asked.rung else "budget") from error

    def begin(self, asked: Asked) -> Begun:
        """Begin a change that `check` allowed."""
        sizing = Sizing(budget=asked.budget, rung=asked.rung)
        change = self._begin(self.sizer.decide(sizing))
        self._sizing, self._source = sizing, "admin"
        return Begun(self.place.replica, change.id, change.start, change.goal)

    async def changed(self) -> None:
        """Returns once no change is under way."""
        while self._noting is not None and not self._noting.done():
            await asyncio.wait((self._noting,))

    async def follow_memory(self, steady: Steady) -> None:
        """For ever: where the device's memory decides, change rung when it has become less, or more, for some time.

        One that is out comes in by that too; none goes out, as the smallest rung is all it can go to.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if needs_memory(self._sizing):
                    await self._look(steady)
            except Exception:  # the next look may be better
                log.exception("the device's memory could not be looked at")

    async def _look(self, steady: Steady) -> None:
        held = self.service.engine.rung.size.bytes if self.out is None else 1  # less than any rung
        try:
            decision = self.sizer.decide(self._sizing)
            fitting = decision.rung.bytes
        except BudgetTooSmall:
            smallest = self._smallest()
            decision = Decision(smallest, None, f"rung #{smallest.index}: less memory is free than any needs")
            fitting = smallest.bytes if self.out is None else held
        if steady.look(asyncio.get_running_loop().time(), held, fitting):
            await self.changed()
            self._begin(decision)

    def status(self) -> NodeStatus:
        """How it is."""
        service, place = self.service, self.place
        rung = service.engine.rung
        held = self.out is None
        return NodeStatus(
            id=place.replica,
            node=place.node,
            group=place.group,
            device=place.device,
            address=place.address,
            ready=service.ready and held,
            budget=service.choice.budget if held else None,
            rung=rung.name if held else None,
            ratio=rung.size.ratio if held else None,
            bytes=weights_held(service.engine) if held else {},
            tasks=list(service.tasks),
            reason="; ".join(filter(None, (self.out or service.choice.reason, self._refused))),
            change=self._changer.last,
            budget_source=self._source,
        )

    def _smallest(self) -> RungSize:
        return min(self.service.manifest.rungs, key=lambda rung: rung.bytes)

    def _begin(self, decision: Decision, *, into_service: bool = True) -> Change:
        choice = Choice(decision.budget, decision.reason)
        change = self._changer.begin(decision.rung, choice, limit=decision.budget)
        self.sizer.attempt.begin(decision.rung)
        self._noting = asyncio.create_task(self._end(into_service))
        return change

    async def _end(self, into_service: bool) -> None:
        await self._changer.finished()
        self.sizer.attempt.end()
        if into_service and self.out is not None:
            self.service.out = None
            await self.service.start()
