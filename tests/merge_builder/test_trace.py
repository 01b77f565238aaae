from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merge_builder.linkage import Linkage, Priorities
from merge_builder.trace import make_trace


def brute_force(blocks: list[np.ndarray], sizes: list[int], linkage: Linkage) -> list[tuple[int, tuple, tuple]]:
    """At every step look at every pair of groups of every block and merge the most alike: the published greedy."""

    def cosine(u: np.ndarray, v: np.ndarray) -> int:  # in billionths
        n, m = np.linalg.norm(u), np.linalg.norm(v)
        if n == 0 or m == 0:
            return 10**9 if n == m else 0
        return round(float(u @ v / (n * m)) * 10**9)

    def likeness(block: int, a: tuple[int, ...], b: tuple[int, ...]) -> float | Fraction:
        x = blocks[block]
        if linkage == "ward":
            distance = np.sum((x[list(a)].mean(0) - x[list(b)].mean(0)) ** 2)
            return float(f"{-len(a) * len(b) / (len(a) + len(b)) * distance / sizes[block]:.7e}")
        if linkage == "sum":
            distance = sum(np.sum((x[i] - x[j]) ** 2) for i in a for j in b)
            return float(f"{-distance / sizes[block]:.7e}")
        cosines = [cosine(x[i], x[j]) for i in a for j in b]
        return min(cosines) if linkage == "min" else Fraction(sum(cosines), len(cosines))

    groups = [[(task,) for task in range(len(x))] for x in blocks]
    steps = []
    while any(len(g) > 1 for g in groups):
        candidates = [
            (-likeness(block, a, b), block, a, b)
            for block, g in enumerate(groups)
            for a, b in combinations(sorted(g), 2)
        ]
        _, block, a, b = min(candidates)
        groups[block] = [g for g in groups[block] if g not in (a, b)] + [tuple(sorted(a + b))]
        steps.append((block, a, b))
    return steps


# Small integers make exact ties and zero vectors common, and their products exact.
vectors = st.integers(2, 6).flatmap(
    lambda tasks: st.lists(
        st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=tasks, max_size=tasks),
        min_size=1,
        max_size=4,
    )
)


@pytest.mark.parametrize("linkage", ["min", "average", "ward", "sum"])
@settings(max_examples=80)
@given(vectors=vectors)
def test_trace_is_the_brute_force_greedy(linkage: Linkage, vectors: list[list[list[int]]]) -> None:
    blocks = [np.array(block, float) for block in vectors]
    sizes = [8 * (index + 1) for index in range(len(blocks))]
    trace = make_trace([block @ block.T for block in blocks], sizes, linkage, Priorities((1.0,) * len(blocks[0])))
    assert [(merge.block, merge.left, merge.right) for merge in trace] == brute_force(blocks, sizes, linkage)
    assert len(trace) == len(blocks) * (len(blocks[0]) - 1)


@pytest.mark.parametrize("linkage", ["min", "average", "ward", "sum"])
def test_random_vectors(linkage: Linkage) -> None:
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(6, 50)) for _ in range(5)]
    sizes = [50 * 4] * 5
    trace = make_trace([block @ block.T for block in blocks], sizes, linkage, Priorities((1.0,) * len(blocks[0])))
    assert [(merge.block, merge.left, merge.right) for merge in trace] == brute_force(blocks, sizes, linkage)


def test_one_task_has_nothing_to_merge() -> None:
    assert make_trace([np.ones((1, 1))], [4], "min", Priorities((1.0,))) == []


@pytest.mark.parametrize("linkage", ["min", "average", "ward", "sum"])
def test_pinned_tasks_merge_last_and_weights_delay(linkage: Linkage) -> None:
    rng = np.random.default_rng(1)
    blocks = [rng.normal(size=(5, 40)) for _ in range(4)]
    grams, sizes = [block @ block.T for block in blocks], [160] * 4

    def first_merge_of(task: int, priorities: Priorities) -> int:
        trace = make_trace(grams, sizes, linkage, priorities)
        assert len(trace) == 16
        return next(number for number, merge in enumerate(trace) if task in merge.left + merge.right)

    for task in range(5):
        plain = first_merge_of(task, Priorities((1.0,) * 5))
        assert first_merge_of(task, Priorities((1.0,) * 5, frozenset([task]))) == 4 * 3
        weights = tuple(100.0 if other == task else 1.0 for other in range(5))
        assert first_merge_of(task, Priorities(weights)) >= max(plain, 4)
