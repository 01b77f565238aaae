"""How many processors a process may use, by its affinity and by cgroup trees laid out by hand."""

import os
from pathlib import Path

import pytest

from deploy.processors import processors


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A machine of eight processors, and the process in the group /pod/box."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/pod/box\n")
    (tmp_path / "cgroup/pod/box").mkdir(parents=True)
    return tmp_path / "proc", tmp_path / "cgroup"


def test_without_a_quota_they_are_those_of_the_affinity(roots):
    assert processors(*roots) == 8
    (roots[1] / "pod/box/cpu.max").write_text("max 100000\n")
    assert processors(*roots) == 8


@pytest.mark.parametrize(("quota", "expected"), [(200_000, 2), (350_000, 3), (50_000, 1), (6_400_000, 8)])
def test_a_quota_is_so_many_whole_processors_and_at_least_one(roots, quota, expected):
    (roots[1] / "pod/box/cpu.max").write_text(f"{quota} 100000\n")
    assert processors(*roots) == expected


def test_the_least_quota_above_counts(roots):
    (roots[1] / "pod/box/cpu.max").write_text("600000 100000\n")
    (roots[1] / "pod/cpu.max").write_text("400000 100000\n")
    assert processors(*roots) == 4


@pytest.mark.parametrize(("quota", "expected"), [(300_000, 3), (-1, 8)])
def test_v1(roots, quota, expected):
    (roots[0] / "self/cgroup").write_text("4:memory:/box\n5:cpu,cpuacct:/box\n0::/\n")
    group = roots[1] / "cpu/box"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert processors(*roots) == expected
