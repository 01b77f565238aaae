from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merge_builder import compute_trace
from merge_builder.compute_trace import WORK, make_compute_trace
from merge_builder.linkage import Group, Linkage, Priorities
from merge_builder.trace import Merge, make_trace

TASKS, STAGES = 5, [0, 0, 1, 1, 1, 2, 2, 2, 3]
SIZES = [10_000, 4, 4_000, 4, 8_000, 4_000, 4, 8_000, 1_000]
Groups = list[dict[int, Group]]  # of each block: every task's group


def apart(vectors: np.ndarray, a: Group, b: Group, linkage: Linkage) -> float:
    """The distance of two groups of a block, from the task vectors themselves; squared ones are not per byte here."""
    if linkage == "sum":
        return float(sum(np.sum((vectors[i] - vectors[j]) ** 2) for i in a for j in b))
    if linkage == "ward":
        between = np.sum((vectors[list(a)].mean(0) - vectors[list(b)].mean(0)) ** 2)
        return float(len(a) * len(b) / (len(a) + len(b)) * between)

    def cosine(u: np.ndarray, v: np.ndarray) -> float:
        scale = np.linalg.norm(u) * np.linalg.norm(v)
        return float(u @ v / scale) if scale else float(not u.any() and not v.any())

    cosines = [cosine(vectors[i], vectors[j]) for i in a for j in b]
    return 1 - (min(cosines) if linkage == "min" else float(np.mean(cosines)))


def candidates(blocks: list[np.ndarray], groups: Groups, linkage: Linkage) -> dict[frozenset[tuple], float]:
    """Every block's merge and every path, as its set of merges, with its distance per byte gained."""

    def distance(block: int, a: Group, b: Group) -> float:
        return apart(blocks[block], a, b, linkage) * (1 if linkage in ("ward", "sum") else SIZES[block])

    found: dict[frozenset[tuple], float] = {}
    for one, other in combinations(range(len(blocks[0])), 2):
        for block, group in enumerate(groups):
            if group[one] != group[other]:
                a, b = sorted((group[one], group[other]))
                found[frozenset([(block, a, b)])] = distance(block, a, b) / SIZES[block]
    for one, other in combinations(range(len(blocks[0])), 2):
        for last in set(STAGES):
            merges, run, parted = set(), 0.0, False
            for stage in range(last + 1):
                here = [block for block, of in enumerate(STAGES) if of == stage]
                for block in here:
                    a, b = sorted((groups[block][one], groups[block][other]))
                    if a != b:
                        merges.add((block, a, b))
                parted = parted or bool(merges)
                run += parted * (stage > 0) * sum(SIZES[block] for block in here)
            if merges:
                gain = sum(SIZES[block] for block, *_ in merges) + WORK * run
                score = sum(distance(*merge) for merge in merges) / gain
                key = frozenset(merges)
                found[key] = min(score, found.get(key, np.inf))
    return found


def check(blocks: list[np.ndarray], linkage: Linkage) -> None:
    """Follow the trace: what it takes next is, at every step, the best of all candidates."""
    tasks = len(blocks[0])
    grams = [block @ block.T for block in blocks]
    trace = make_compute_trace(grams, SIZES, STAGES, linkage, Priorities((1.0,) * tasks))
    assert len(trace) == len(STAGES) * (tasks - 1)
    groups: Groups = [{task: (task,) for task in range(tasks)} for _ in STAGES]
    steps = [(merge.block, merge.left, merge.right) for merge in trace]
    while steps:
        found = candidates(blocks, groups, linkage)
        best = min(found.values())
        taken = [c for c, score in found.items() if score <= best + 1e-7 and c == frozenset(steps[: len(c)])]
        assert taken, (best, steps[0])
        count = max(map(len, taken))
        stages = [STAGES[block] for block, *_ in steps[:count]]
        assert stages == sorted(stages)
        for block, a, b in steps[:count]:
            groups[block] |= dict.fromkeys(a + b, tuple(sorted(a + b)))
        steps = steps[count:]


@pytest.mark.parametrize("linkage", ["min", "average", "ward", "sum"])
def test_it_takes_the_best_candidate_at_every_step(linkage: Linkage) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        check([rng.normal(size=(TASKS, 8)) + rng.normal(size=8) * rng.uniform(0, 2) for _ in STAGES], linkage)


@pytest.mark.parametrize("linkage", ["min", "average", "ward", "sum"])
@settings(max_examples=20)
@given(data=st.data())
def test_with_ties_and_zero_task_vectors(linkage: Linkage, data: st.DataObject) -> None:
    tasks = data.draw(st.integers(2, 4))
    vector = st.lists(st.integers(-1, 1), min_size=2, max_size=2)
    block = st.lists(vector, min_size=tasks, max_size=tasks).map(lambda rows: np.array(rows, float))
    check([data.draw(block) for _ in STAGES], linkage)


def random_grams(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(size=(TASKS, 30)) + rng.normal(size=30) * rng.uniform(0, 2) for _ in STAGES]
    return [block @ block.T * size for block, size in zip(blocks, SIZES, strict=True)]


def shared_work(trace: list[Merge], size: float) -> int:
    """Rows over all stages for one text asked of every task, at the first rung of at most `size` models."""
    group = [{task: (task,) for task in range(TASKS)} for _ in STAGES]
    left = sum(SIZES) * TASKS
    for merge in trace:
        if left <= size * sum(SIZES):
            break
        group[merge.block] |= dict.fromkeys(merge.left + merge.right, tuple(sorted(merge.left + merge.right)))
        left -= SIZES[merge.block]
    path: list[tuple] = [()] * TASKS
    rows = 0
    for stage in range(max(STAGES) + 1):
        blocks = [b for b, s in enumerate(STAGES) if s == stage]
        path = [(*path[task], *(group[b][task] for b in blocks)) for task in range(TASKS)]
        rows += len(set(path))
    return rows


@pytest.mark.parametrize("linkage", ["min", "average", "ward", "sum"])
def test_it_shares_more_work(linkage: Linkage) -> None:
    less = more = 0
    for seed in range(8):
        grams = random_grams(seed)
        plain = make_trace(grams, SIZES, linkage, Priorities((1.0,) * TASKS))
        trace = make_compute_trace(grams, SIZES, STAGES, linkage, Priorities((1.0,) * TASKS))
        for size in (1.25, 1.5, 2, 3):
            less += shared_work(trace, size)
            more += shared_work(plain, size)
    assert less < 0.9 * more


def test_a_tiny_block_does_not_part_tasks_that_share_all_else() -> None:
    """Blocks of 4 bytes hold next to nothing and are unlike in every task; the others are nearly alike."""
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(TASKS, 30)) + (0 if size == 4 else 3) * rng.normal(size=30) for size in SIZES]
    grams = [block @ block.T * size for block, size in zip(blocks, SIZES, strict=True)]
    plain = make_trace(grams, SIZES, "ward", Priorities((1.0,) * TASKS))
    trace = make_compute_trace(grams, SIZES, STAGES, "ward", Priorities((1.0,) * TASKS))
    assert shared_work(trace, 2) < 0.7 * shared_work(plain, 2)


@pytest.mark.parametrize("linkage", ["min", "average", "ward", "sum"])
def test_pinned_tasks_merge_last_and_weights_delay(linkage: Linkage) -> None:
    grams = random_grams(1)

    def touching(task: int, priorities: Priorities) -> list[bool]:
        trace = make_compute_trace(grams, SIZES, STAGES, linkage, priorities)
        assert len(trace) == len(STAGES) * (TASKS - 1)
        return [task in merge.left + merge.right for merge in trace]

    for task in range(TASKS):
        pinned = touching(task, Priorities((1.0,) * TASKS, frozenset([task])))
        assert pinned == [False] * len(STAGES) * (TASKS - 2) + [True] * len(STAGES)
        weights = tuple(100.0 if other == task else 1.0 for other in range(TASKS))
        plain = touching(task, Priorities((1.0,) * TASKS))
        assert touching(task, Priorities(weights)).index(True) > plain.index(True)
    everyone = Priorities((1.0,) * TASKS, frozenset(range(TASKS)))
    plain_trace = make_compute_trace(grams, SIZES, STAGES, linkage, Priorities((1.0,) * TASKS))
    assert make_compute_trace(grams, SIZES, STAGES, linkage, everyone) == plain_trace


@pytest.mark.parametrize("linkage", ["min", "average", "ward", "sum"])
def test_where_work_is_worth_nothing_it_is_the_plain_trace(linkage: Linkage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_trace, "WORK", 0.0)
    grams = random_grams(99)
    for priorities in (Priorities((1.0,) * TASKS), Priorities((1.0, 2.0, 1.0, 1.0, 3.0), frozenset([2]))):
        found = make_compute_trace(grams, SIZES, STAGES, linkage, priorities)
        assert found == make_trace(grams, SIZES, linkage, priorities)


def test_one_task_has_nothing_to_merge() -> None:
    assert make_compute_trace([np.ones((1, 1))] * 2, [4, 4], [0, 1], "ward", Priorities((1.0,))) == []
