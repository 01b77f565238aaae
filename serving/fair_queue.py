"""A queue that serves its tasks in turn, so that no task's flood holds up another's single requests.

Deficit round robin (Shreedhar and Varghese 1995): at its turn a task may take what it saved and a quantum of tokens.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")
_QUANTUM = 256  # tokens: a turn; small beside a batch, so that a batch has room for many tasks


class FairQueue(Generic[T]):
    """Items in one line a task, first in, first out; all costs are in tokens.

    Of two tasks that both wait, neither gets ahead of the other by more than a quantum and one item.
    """

    def __init__(self) -> None:
        self.cost = 0
        self._lines: OrderedDict[str, deque[tuple[T, int]]] = OrderedDict()  # those that hold something, by turn
        self._costs: Counter[str] = Counter()
        self._deficits: Counter[str] = Counter()

    def push(self, task: str, item: T, cost: int) -> None:
        """Queue `item` at the end of the task's line."""
        self._lines.setdefault(task, deque()).append((item, cost))
        self._add(task, cost)

    def pop(self, room: float | None) -> T | None:
        """The next item in turn; None if nothing waits or the next one costs more than `room` (None: any cost)."""
        while self._lines:
            task, line = next(iter(self._lines.items()))
            item, cost = line[0]
            if cost > self._deficits[task]:
                self._deficits[task] += _QUANTUM
                self._lines.move_to_end(task)
                continue
            if room is not None and cost > room:
                return None
            line.popleft()
            self._deficits[task] -= cost
            self._add(task, -cost)
            return item
        return None

    def pop_longest(self, task: str, cost: int) -> T | None:
        """The last item of the most costly line, if that is more costly than the task's would be with `cost` more."""
        longest = max(self._lines, key=self._costs.__getitem__, default=task)
        if self._costs[longest] <= self._costs[task] + cost:
            return None
        item, removed = self._lines[longest].pop()
        self._add(longest, -removed)
        return item

    def ahead(self, costs: Mapping[str, int]) -> int:
        """What would be served until all of `costs`, by task, were, if they were queued now; themselves included."""
        own = {task: self._costs[task] + cost for task, cost in costs.items()}
        turns = max(own.values())
        return sum(min(cost, turns) for cost in (self._costs | own).values())

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def _add(self, task: str, cost: int) -> None:
        self.cost += cost
        self._costs[task] += cost
        if not self._lines[task]:
            del self._lines[task], self._costs[task], self._deficits[task]
