from types import SimpleNamespace

import pytest

from deploy.autoscale import LOAD, by_backlog, load_of


def wanted(*loads: float, now: int = 2) -> int:
    metrics = {LOAD: dict(enumerate(loads))} if loads else {}
    return by_backlog(SimpleNamespace(aggregated_metrics=metrics, current_num_replicas=now))[0]


@pytest.mark.parametrize(
    ("loads", "replicas"),
    [
        ((0.0, 0.0), 1),
        ((load_of(0.7, 0.0),), 1),
        ((load_of(0.7, 0.0), load_of(0.7, 0.0)), 2),
        ((load_of(1.0, 0.0),), 2),
        ((load_of(1.0, 8.0),), 10),
        ((load_of(0.3, 0.0),) * 4, 2),
    ],
)
def test_as_many_as_bear_the_load(loads, replicas):
    assert wanted(*loads) == replicas


def test_while_nothing_is_known_nothing_changes():
    assert wanted(now=3) == 3
