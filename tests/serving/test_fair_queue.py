"""Turns by tokens, whatever is pushed in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from serving.fair_queue import FairQueue

QUANTUM, MOST = 256, 600
PUSHES = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, MOST)), max_size=80)


def filled(pushes: list[tuple[str, int]]) -> FairQueue[tuple[str, int, int]]:
    queue: FairQueue[tuple[str, int, int]] = FairQueue()
    for number, (task, cost) in enumerate(pushes):
        queue.push(task, (task, number, cost), cost)
    return queue


@given(PUSHES)
def test_everything_comes_out_once_and_in_its_tasks_order(pushes: list[tuple[str, int]]) -> None:
    queue, popped = filled(pushes), []
    while item := queue.pop(None):
        popped.append(item)

    assert (queue.cost, len(queue)) == (0, 0)
    for task in "abcd":
        numbers = [number for name, number, _ in popped if name == task]
        assert numbers == [number for number, (name, _) in enumerate(pushes) if name == task]


@given(PUSHES)
def test_tasks_that_wait_get_equal_tokens_but_for_a_turn(pushes: list[tuple[str, int]]) -> None:
    queue = filled(pushes)
    left = {task: sum(name == task for name, _ in pushes) for task in "abcd"}
    waiting = [task for task in left if left[task]]
    spent = dict.fromkeys(waiting, 0)
    while all(left[task] for task in waiting) and (item := queue.pop(None)):
        spent[item[0]] += item[2]
        left[item[0]] -= 1
        assert max(spent.values()) - min(spent.values()) <= QUANTUM + MOST


@given(PUSHES, st.integers(0, MOST))
def test_what_does_not_fit_stays_next(pushes: list[tuple[str, int]], room: int) -> None:
    queue = filled(pushes)
    cost = queue.cost
    item = queue.pop(room)

    assert item is None or item[2] <= room
    assert queue.cost == cost - (item[2] if item else 0)
    if item is None and pushes:
        following = queue.pop(None)
        assert following is not None
        assert following[2] > room


@given(PUSHES, st.integers(1, MOST))
def test_only_a_longer_line_makes_room(pushes: list[tuple[str, int]], cost: int) -> None:
    queue = filled(pushes)
    costs = {task: sum(c for name, c in pushes if name == task) for task in "abcd"}
    item = queue.pop_longest("a", cost)

    if max(costs.values()) <= costs["a"] + cost:
        assert item is None
    else:
        assert item is not None
        assert costs[item[0]] == max(costs.values())
        assert item[1] == max(number for number, (name, _) in enumerate(pushes) if name == item[0])


@given(PUSHES, st.dictionaries(st.sampled_from("abcde"), st.integers(1, MOST), min_size=1))
def test_what_is_ahead_is_what_is_served_until_then(pushes: list[tuple[str, int]], costs: dict[str, int]) -> None:
    queue = filled(pushes)
    told, whole = queue.ahead(costs), queue.cost + sum(costs.values())
    for task, cost in costs.items():
        queue.push(task, (task, -1, cost), cost)
    left = set(costs)
    while left and (item := queue.pop(None)):
        left -= {item[0]} if item[1] == -1 else set()

    assert abs(whole - queue.cost - told) <= 4 * (QUANTUM + MOST)
