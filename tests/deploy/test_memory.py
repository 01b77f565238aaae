"""The CPU probe against procfs and cgroup trees laid out by hand."""

from pathlib import Path

import pytest

from deploy.memory import cpu_memory, probe_memory

MIB = 1 << 20


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """A machine with 1000 MiB available and no cgroup."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {1000 * 1024} kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "cgroup").mkdir()
    return tmp_path / "proc", tmp_path / "cgroup"


def group(folder: Path, names: tuple[str, str, str], limit: str, used: int, reclaimable: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    inactive, active = reclaimable // 4, reclaimable - reclaimable // 4
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]}inactive_file {inactive}\n{names[2]}active_file {active}\n")


V2 = ("memory.max", "memory.current", "")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")


def test_without_a_cgroup_limit_the_machine_decides(roots):
    group(roots[1], V2, "max", 50 * MIB, 0)
    memory = cpu_memory(*roots)
    assert memory.free == 1000 * MIB
    assert "machine" in memory.source


def test_v2_limit_less_what_cannot_be_reclaimed(roots):
    (roots[0] / "self/cgroup").write_text("0::/pod/box\n")
    group(roots[1] / "pod/box", V2, str(300 * MIB), 120 * MIB, 20 * MIB)
    memory = cpu_memory(*roots)
    assert memory.free == 200 * MIB
    assert "memory.max" in memory.source


def test_the_tightest_of_the_groups_above_counts(roots):
    (roots[0] / "self/cgroup").write_text("0::/pod/box\n")
    group(roots[1] / "pod/box", V2, str(900 * MIB), 0, 0)
    group(roots[1] / "pod", V2, str(400 * MIB), 100 * MIB, 0)
    assert cpu_memory(*roots).free == 300 * MIB


def test_in_a_container_the_hosts_path_is_not_there_but_the_root_is(roots):
    (roots[0] / "self/cgroup").write_text("0::/kubepods/burstable/abc\n")
    group(roots[1], V2, str(250 * MIB), 50 * MIB, 0)
    assert cpu_memory(*roots).free == 200 * MIB


def test_v1(roots):
    (roots[0] / "self/cgroup").write_text("5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n")
    group(roots[1] / "memory/box", V1, str(200 * MIB), 60 * MIB, 10 * MIB)
    group(roots[1] / "memory", V1, "9223372036854771712", 800 * MIB, 0)
    memory = cpu_memory(*roots)
    assert memory.free == 150 * MIB
    assert "memory.limit_in_bytes" in memory.source


def test_a_group_over_its_limit_leaves_nothing(roots):
    group(roots[1], V2, str(100 * MIB), 150 * MIB, 0)
    assert cpu_memory(*roots).free == 0


def test_this_machine_has_memory():
    assert MIB < probe_memory("cpu").free < 1 << 50
