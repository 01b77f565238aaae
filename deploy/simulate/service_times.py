"""How long a batch takes, as measured by `benchmarks/server/service_times.py` on a real ladder.

times = read_document(Path("service_times.json"), ServiceTimes)
times.seconds(1.5, np.array([64.0, 4096.0]))
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from merge_builder.closed import Closed

Floats = NDArray[np.float64]


class Measured(Closed):
    """Batches of `texts` inputs with `tokens` tokens in all, on the rung of size `ratio`: median CPU-seconds of one."""

    ratio: float = Field(gt=0)
    texts: int = Field(gt=0)
    tokens: float = Field(gt=0)
    seconds: float = Field(gt=0)


class ServiceTimes(Closed):
    """What was measured, on what; `parameters` are those of one model that every token passes (not the embeddings)."""

    ladder: str
    machine: str
    parameters: int = Field(gt=0)
    times: tuple[Measured, ...]

    @field_validator("times")
    @classmethod
    def _whole_table(cls, times: tuple[Measured, ...]) -> tuple[Measured, ...]:
        rungs: dict[float, set[int]] = {}
        for row in times:
            rungs.setdefault(row.ratio, set()).add(row.texts)
        if not times or any(texts != rungs[times[0].ratio] for texts in rungs.values()):
            raise ValueError("every rung needs a time for the same numbers of texts, and there must be one at least")
        return times

    def seconds(self, ratio: float, tokens: Floats) -> Floats:
        """Seconds of batches of `tokens` tokens on a rung of size `ratio`, on the machine that was measured.

        Straight between what was measured; a smaller batch takes as long as the smallest measured, a larger one as much
        a token as the largest; a rung outside the measured ones takes as long as the nearest.
        """
        ratios = sorted({row.ratio for row in self.times})
        columns = np.stack([self._of_rung(measured, tokens) for measured in ratios])
        return np.array([np.interp(ratio, ratios, column) for column in columns.T])

    @property
    def operations_per_second(self) -> float:
        """The most multiplications and additions a second that any measured batch reached: 2 a parameter and token."""
        return 2 * self.parameters * max(row.tokens / row.seconds for row in self.times)

    def _of_rung(self, ratio: float, tokens: Floats) -> Floats:
        rows = sorted((row for row in self.times if row.ratio == ratio), key=lambda row: row.tokens)
        largest = rows[-1]
        within = np.interp(tokens, [row.tokens for row in rows], [row.seconds for row in rows])
        return np.where(tokens > largest.tokens, tokens * largest.seconds / largest.tokens, within)
