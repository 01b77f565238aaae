"""From a request's inputs to what the engine takes, within a request's bounds and off the event loop.

reader = Reader(engine, {"sst2": 128}, max_inputs=1024, max_request_tokens=32768)
rows = await reader.read([Text("a fine film")], [("sst2",)], truncate=True)
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from merge_builder.errors import InputError
from serving.batcher import batch_cost
from serving.encoding import Ids, Row, Text, encode
from serving.errors import RequestError, RequestTooLarge, TooManyInputs

if TYPE_CHECKING:
    from serving.engine.engine import Engine


class Reader:
    """Tokenises in a thread of its own, in the order of the calls; `max_lengths` tells the most tokens a task takes."""

    def __init__(
        self, engine: "Engine", max_lengths: Mapping[str, int], *, max_inputs: int, max_request_tokens: int
    ) -> None:
        self._engine, self._max_lengths = engine, max_lengths
        self._max_inputs, self._max_request_tokens = max_inputs, max_request_tokens
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")

    def check_count(self, inputs: int) -> None:
        """Raises TooManyInputs if a request may not have so many."""
        if inputs > self._max_inputs:
            raise TooManyInputs(
                f"the request has {inputs} inputs and at most {self._max_inputs} are taken: split it, or have its "
                "answers streamed",
                "inputs",
            )

    def check_size(self, what: str, rows: Sequence[Row]) -> None:
        """Raises RequestTooLarge if `what`, whose rows these are, has more tokens than a request may."""
        cost, most = sum(batch_cost(row.encoded) for row in rows), self._max_request_tokens
        if cost > most:
            raise RequestTooLarge(f"{what} has {cost} tokens over its tasks and at most {most} are taken: split it")

    async def read(
        self, inputs: Sequence[Text | Ids], tasks: Sequence[Sequence[str]], *, truncate: bool, first: int = 0
    ) -> list[Row]:
        """The rows of `inputs`, which are those of the request from the place `first` on, as `serving.encoding` makes
        them, and checked for all that could make the engine refuse, so that no request fails with another's batch.

        Raises:
            RequestError: an input cannot be read.
        """

        def work() -> list[Row]:
            rows = encode(self._engine.tokenizer, inputs, tasks, self._max_lengths, truncate=truncate, first=first)
            for row in rows:
                try:
                    self._engine.check(row.encoded)
                except InputError as error:
                    raise RequestError(f"inputs[{row.place}]: {error}", f"inputs[{row.place}]") from error
            return rows

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Stop the thread; what was asked of it is read."""
        self._thread.shutdown(wait=False)
