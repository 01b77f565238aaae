"""The load: a day of Poisson arrivals for every task, and how servers take them.

requests_per_second: 20000       # mean over the day, all tasks together
tokens_per_request: 64
deadline_seconds: 2
amplitude: 0.6                   # the peak is 1.6 times the mean, the trough 0.4 times
zipf: 1.0                        # the task of rank n is asked n^-zipf as often as the first, in the ladder's order
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from merge_builder.closed import Closed

Routing = Literal["random", "two_choices", "weighted"]


class Load(Closed):
    """What is asked, in which time, and how it is spread and batched.

    Of the day's 24 hours, `windows` stretches of `window_seconds` are simulated, one in the middle of each interval,
    in steps of `step_seconds`. `target` is the share of answers in time that the fleet must reach at the peak.
    """

    requests_per_second: float = Field(gt=0)
    tokens_per_request: int = Field(default=64, ge=1)
    deadline_seconds: float = Field(default=2.0, gt=0)
    amplitude: float = Field(default=0.6, ge=0, le=1)
    peak_hour: float = Field(default=15.0, ge=0, le=24)
    peak_spread_hours: float = Field(default=6.0, ge=0, le=24)
    zipf: float = Field(default=1.0, ge=0)
    routing: Routing = "two_choices"
    max_batch_tokens: int = Field(default=4096, ge=1)
    max_queued_tokens: int = Field(default=65536, ge=1)
    target: float = Field(default=0.99, gt=0, lt=1)
    windows: int = Field(default=144, ge=1)
    window_seconds: float = Field(default=10.0, gt=0)
    step_seconds: float = Field(default=0.02, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "Load":
        if self.windows * self.window_seconds > 86_400:
            raise ValueError("windows x window_seconds is more than a day: ask for fewer or shorter windows")
        if self.step_seconds > self.deadline_seconds / 10:
            raise ValueError("step_seconds is too coarse: at most a tenth of deadline_seconds")
        if self.window_seconds < self.step_seconds:
            raise ValueError("window_seconds is shorter than step_seconds")
        return self

    @property
    def hours(self) -> NDArray[np.float64]:
        """The hour in the middle of each window."""
        return (np.arange(self.windows) + 0.5) * 24 / self.windows

    @property
    def batch(self) -> int:
        """Requests in the largest batch: at least one, as a server takes one that is larger by itself alone."""
        return max(1, self.max_batch_tokens // self.tokens_per_request)

    def rates(self, hour: float, tasks: int) -> NDArray[np.float64]:
        """Requests a second of each task at `hour`: its Zipf share of the mean, on a sine with its own peak.

        The peaks of the tasks lie evenly within `peak_spread_hours` around `peak_hour`.
        """
        rank = np.arange(1, tasks + 1)
        share = rank**-self.zipf / (rank**-self.zipf).sum()
        peaks = self.peak_hour + self.peak_spread_hours * ((rank - 0.5) / tasks - 0.5)
        swing = 1 + self.amplitude * np.cos(2 * np.pi * (hour - peaks) / 24)
        return np.asarray(self.requests_per_second * share * swing, np.float64)
