"""A running service changes rung, in the background and one change at a time, while it goes on answering.

    changer = RungChanger(service)
    changer.begin(select(manifest, "1.5"), Choice(budget, "the budget has shrunk"), limit=budget)
    await changer.finished()

The next rung's missing block versions are read while the present one answers; then one reference changes between two
batches, and what is no longer needed is freed with the last batch that uses it. Where both rungs together would need
more than `limit` bytes, the way leads through rungs between (`merge_builder.ladder.path`). Where memory runs out all
the same, the way that is left is halved until a step succeeds or none is left.
"""

import asyncio
import logging
import time
import uuid
from dataclasses import replace
from typing import Literal

from merge_builder.ladder import RungSize, rung_at
from merge_builder.ladder.path import missing_bytes, rung_path
from serving.errors import ChangeUnderWay
from serving.fleet import Change
from serving.service import Choice, Service

log = logging.getLogger("mergeladder.rung")


class RungChanger:
    """Changes the rung of `service`. Its coroutines belong to the service's event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running: asyncio.Task[None] | None = None
        self.last: Change | None = None

    def begin(self, goal: RungSize, choice: Choice, *, limit: int | None = None) -> Change:
        """Start to go to `goal`; once it is reached, `choice` tells why the service is there.

        Raises:
            ChangeUnderWay: an earlier change has not ended yet.
        """
        self.check_free()
        name = self._service.engine.rung.name
        self.last = Change(uuid.uuid4().hex[:12], start=name, goal=f"#{goal.index}", reached=name)
        self._running = asyncio.create_task(self._change(goal, choice, limit))
        return self.last

    def check_free(self) -> None:
        """Refuse where `begin` would.

        Raises:
            ChangeUnderWay: an earlier change has not ended yet.
        """
        if self._running is not None:
            raise ChangeUnderWay(f"a change to rung {self._reached().goal} is under way: wait until it has ended")

    async def finished(self) -> Change | None:
        """The last change, once it has ended."""
        if self._running is not None:
            await asyncio.shield(self._running)
        return self.last

    async def _change(self, goal: RungSize, choice: Choice, limit: int | None) -> None:
        started = time.perf_counter()
        try:
            error = await self._walk(goal, limit, started)
            if error is None:
                self._service.choice = choice
            else:
                self._service.choice = Choice(choice.budget, f"{self._reached().reached}: {error}")
            self._end("done" if error is None else "failed", error, started)
        except Exception as problem:  # a block file that cannot be read: the service stays where it is
            log.exception("the change to rung #%d failed", goal.index)
            self._end("failed", str(problem), started)
        finally:
            self._running = None

    async def _walk(self, goal: RungSize, limit: int | None, started: float) -> str | None:
        """Step by step to `goal`; why it was not reached, if memory ran out."""
        engine, manifest = self._service.engine, self._service.manifest
        here = engine.rung.size.index
        ahead = [goal.index] if limit is None else list(rung_path(manifest, here, goal.index, limit))
        while here != goal.index:
            rung = rung_at(manifest, ahead[0])
            read = missing_bytes(engine.rung, rung)
            try:
                await asyncio.to_thread(engine.swap, rung)
            except Exception as error:
                if not _out_of_memory(error):
                    raise
                half = here + int((ahead[0] - here) / 2)
                if half == here:
                    return f"there was not enough memory to go on to rung #{goal.index}"
                log.warning("not enough memory for rung %s: trying #%d", rung.name, half)
                ahead.insert(0, half)
                continue
            here = ahead.pop(0)
            done = self._reached()
            seconds = time.perf_counter() - started
            self.last = replace(done, reached=rung.name, bytes_read=done.bytes_read + read, seconds=seconds)
        return None

    def _end(self, state: Literal["done", "failed"], error: str | None, started: float) -> None:
        seconds = time.perf_counter() - started
        self.last = replace(self._reached(), state=state, error=error, seconds=seconds)
        self._service.metrics.rung_swaps.labels(state).inc()
        self._service.metrics.swap_duration.observe(seconds)
        log.info(
            "rung %s to %s: %s in %.2f s, now %s", self.last.start, self.last.goal, state, seconds, self.last.reached
        )

    def _reached(self) -> Change:
        assert self.last is not None
        return self.last


def _out_of_memory(error: Exception) -> bool:
    """Whether `error` is torch's or Python's way to say so: torch has no class of its own for the CPU's allocator."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)
