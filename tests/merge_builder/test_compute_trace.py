import numpy as np
import pytest

from merge_builder import compute_trace
from merge_builder.compute_trace import make_compute_trace
from merge_builder.trace import Linkage, Merge, Priorities, equal_priorities, make_trace

TASKS, STAGES = 5, [0, 0, 1, 1, 1, 2, 2, 2, 3]


def random_grams(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(size=(TASKS, 30)) + rng.normal(size=30) * rng.uniform(0, 2) for _ in STAGES]
    return [block @ block.T for block in blocks]


def shared_work(trace: list[Merge], steps: int) -> int:
    """Rows over all stages for one text asked of every task, after `steps` merges: what an engine would compute."""
    group = [{task: (task,) for task in range(TASKS)} for _ in STAGES]
    for merge in trace[:steps]:
        merged = tuple(sorted(merge.left + merge.right))
        group[merge.block].update(dict.fromkeys(merged, merged))
    path = [()] * TASKS
    rows = 0
    for stage in range(max(STAGES) + 1):
        blocks = [b for b, s in enumerate(STAGES) if s == stage]
        path = [(*path[task], *(group[b][task] for b in blocks)) for task in range(TASKS)]
        rows += len(set(path))
    return rows


@pytest.mark.parametrize("linkage", ["min", "average", "ward"])
def test_it_is_a_whole_trace_and_shares_more(linkage: Linkage) -> None:
    less = more = 0
    for seed in range(8):
        grams, sizes = random_grams(seed), [120] * len(STAGES)
        plain = make_trace(grams, sizes, linkage, equal_priorities(TASKS))
        trace = make_compute_trace(grams, sizes, STAGES, linkage, equal_priorities(TASKS))
        groups = [{(task,) for task in range(TASKS)} for _ in STAGES]
        for merge in trace:
            groups[merge.block] -= {merge.left, merge.right}
            groups[merge.block].add(tuple(sorted(merge.left + merge.right)))
        assert len(trace) == len(STAGES) * (TASKS - 1)
        assert all(group == {tuple(range(TASKS))} for group in groups)
        for steps in range(len(trace) + 1):
            less += shared_work(trace, steps)
            more += shared_work(plain, steps)
    assert less < more


@pytest.mark.parametrize("linkage", ["min", "ward"])
def test_without_tolerance_it_is_the_greedy_trace(linkage: Linkage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_trace, "TOLERANCE", 0.0)
    grams, sizes = random_grams(99), [120] * len(STAGES)
    for priorities in (equal_priorities(TASKS), Priorities((1.0,) * TASKS, frozenset([2]))):
        found = make_compute_trace(grams, sizes, STAGES, linkage, priorities)
        assert found == make_trace(grams, sizes, linkage, priorities)
