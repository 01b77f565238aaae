"""Contenders timed in turns, so that a noisy machine is noisy to all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def interleaved(
    contenders: Mapping[str, Callable[[Item], object]], items: Sequence[Item], rounds: int
) -> dict[str, list[float]]:
    """CPU-seconds of this process that each contender takes for all `items`, round by round, after one to warm up.

    In a round every contender works on the first item, then every one on the second, and so on.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        spent = dict.fromkeys(contenders, 0.0)
        for item in items:
            for name, run in contenders.items():
                start = time.process_time()
                run(item)
                spent[name] += time.process_time() - start
        for name, value in spent.items():
            if number:
                seconds[name].append(value)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], slow: str, fast: str) -> float:
    """How many times as fast `fast` is as `slow`: the median of the rounds' own ratios."""
    return statistics.median(a / b for a, b in zip(seconds[slow], seconds[fast], strict=True))
