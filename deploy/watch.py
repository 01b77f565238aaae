"""When to follow the device's memory: not at every flicker, but when it stays smaller, or larger, for some time."""

from dataclasses import dataclass


@dataclass
class Steady:
    """Decides by a row of looks whether to change rung.

    Less memory is followed after `down_seconds` in which every look found too little, more memory after `up_seconds`
    in which every look found room for a rung that is larger by `least_gain` at least: what shrinks threatens the
    process, what grows can wait and may be gone again.
    """

    down_seconds: float = 10.0
    up_seconds: float = 60.0
    least_gain: float = 0.02
    _direction: int = 0
    _since: float = 0.0

    def look(self, now: float, current: int, fitting: int) -> bool:
        """Whether to leave the rung of `current` bytes for the one of `fitting` bytes; `now` is in seconds."""
        direction = -1 if fitting < current else 1 if fitting >= current * (1 + self.least_gain) else 0
        if direction != self._direction:
            self._direction, self._since = direction, now
        wait = self.down_seconds if direction < 0 else self.up_seconds
        if direction == 0 or now - self._since < wait:
            return False
        self._direction = 0
        return True
