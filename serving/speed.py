"""How long a batch takes, judged by the recent ones.

speed = Speed()
speed.record(tokens=800, seconds=0.2)
speed.seconds(400)
"""

import math

_PAST = 0.9  # weight of the past: about the last ten batches count
# A machine that stood still for a moment tells nothing of the next batch: one that took more than so many times what
# was expected counts as if it had taken that. If the machine has become slower for good, it is learnt a bit later.
_CLIP = 4.0
_FEW = 4.0  # of so many batches, old ones counting less, too little is known to doubt the next


class Speed:
    """A line through the recent batches, by least squares: some seconds for any batch, and some for each token.

    Neither is ever negative. Batches of one size tell nothing of a batch's own share: then tokens have it all.
    """

    def __init__(self) -> None:
        self._count = self._tokens = self._seconds = self._squares = self._products = 0.0
        self._batch, self._token = 0.0, 0.0

    def record(self, tokens: int, seconds: float) -> None:
        """Learn from a batch that took so long."""
        if self._count > _FEW:
            seconds = min(seconds, _CLIP * self.seconds(tokens))
        self._count = _PAST * self._count + 1
        self._tokens = _PAST * self._tokens + tokens
        self._seconds = _PAST * self._seconds + seconds
        self._squares = _PAST * self._squares + tokens * tokens
        self._products = _PAST * self._products + tokens * seconds
        whole = self._seconds / self._tokens
        spread = self._count * self._squares - self._tokens**2
        slope = (self._count * self._products - self._tokens * self._seconds) / spread if spread > 1e-6 else whole
        self._token = min(max(slope, 0.0), whole)
        self._batch = (self._seconds - self._token * self._tokens) / self._count

    def seconds(self, tokens: int, batches: int = 1) -> float:
        """What `batches` with so many tokens between them should take; 0 before any was recorded."""
        return batches * self._batch + tokens * self._token

    def tokens(self, seconds: float) -> float:
        """The most tokens of a batch that should take no longer than `seconds`; none is below 0."""
        left = max(seconds - self._batch, 0.0)
        return left / self._token if self._token else math.inf
