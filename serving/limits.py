"""How much one request may ask for."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.encoding import Row
from serving.errors import RequestTooLarge, TooManyInputs
from serving.images.decode import MAX_PIXELS
from serving.job import batch_cost

MAX_REQUEST_PIXELS = 4 * MAX_PIXELS  # to decode them takes a core some seconds


@dataclass(frozen=True)
class Limits:
    """The most inputs of a request, and the most tokens, which count once for each task that is asked."""

    inputs: int
    tokens: int

    def check_inputs(self, count: int) -> None:
        """Raises TooManyInputs if a request may not have so many."""
        if count > self.inputs:
            raise TooManyInputs(
                f"the request has {count} inputs and at most {self.inputs} are taken: split it, or have its "
                "answers streamed",
                "inputs",
            )

    def check_rows(self, what: str, rows: Sequence[Row]) -> None:
        """As `check_tokens`, of `rows`."""
        self.check_tokens(what, sum(batch_cost(row.encoded) for row in rows))

    def check_tokens(self, what: str, count: int) -> None:
        """Raises RequestTooLarge if `what` has more tokens than a request may."""
        if count > self.tokens:
            raise RequestTooLarge(
                f"{what} has {count} tokens over its tasks and at most {self.tokens} are taken: split it"
            )

    def check_pixels(self, count: int) -> None:
        """Raises RequestTooLarge if the images of a request have more pixels than are decoded for it."""
        if count > MAX_REQUEST_PIXELS:
            raise RequestTooLarge(
                f"the images of the request have {count} pixels and at most {MAX_REQUEST_PIXELS} are taken: "
                "split it, send them smaller, or have its answers streamed"
            )
