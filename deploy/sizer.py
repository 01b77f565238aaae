"""The rung that a sizing means on a replica's own device, now that it holds the engine."""

import asyncio
from collections.abc import Callable

from deploy.attempt import Attempt
from deploy.memory import Memory
from deploy.sizing import Decision, Sizing, decide, needs_memory
from merge_builder.ladder import Manifest


class Sizer:
    """Decides with what it measures.

    `memory` tells what is free now for weights, those that are held included, and `workspace` measures, once it is
    wanted, the bytes that the largest batch needs beside them. `attempt` tells what a replica before this one died of;
    `expansion` is as in `deploy.sizing.decide`.
    """

    def __init__(
        self,
        manifest: Manifest,
        attempt: Attempt,
        *,
        memory: Callable[[], Memory],
        workspace: Callable[[], int],
        expansion: float = 1.0,
    ) -> None:
        self._manifest, self.attempt = manifest, attempt
        self._memory, self._measure, self._expansion = memory, workspace, expansion
        self._workspace: int | None = None

    async def measure(self, sizing: Sizing) -> None:
        """Have what `decide` needs; where memory decides, a batch is run for it, once."""
        if needs_memory(sizing) and self._workspace is None:
            self._workspace = await asyncio.to_thread(self._measure)

    def decide(self, sizing: Sizing) -> Decision:
        """The rung that `sizing` means here and now; a smaller one where a replica before died of that.

        Raises:
            InputError: as `deploy.sizing.decide`.
        """
        decision = decide(self._manifest, sizing, self._memory(), self._workspace or 0, self._expansion)
        largest = self.attempt.largest_now(self._manifest)
        if largest is None or largest.bytes >= decision.rung.bytes:
            return decision
        reason = f"rung #{largest.index} ({largest.ratio:.2f}x): the last replica died on its way to a larger one"
        return Decision(largest, decision.budget, reason)
