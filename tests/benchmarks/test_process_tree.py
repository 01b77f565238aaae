"""The memory of a tree of processes that map one file."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks/server"))
from process_tree import usage_of

MIB = 1 << 20
PROGRAM = """
import mmap, subprocess, sys
path, own, children = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
touched = sum(mapped[::4096])
kept = b"a" * (own << 20)
if children:
    below = subprocess.Popen([sys.executable, "-c", sys.argv[4], path, str(own), str(children - 1), sys.argv[4]],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    below.stdout.readline()
print("ready", flush=True)
sys.stdin.read()
"""


def memory(path: Path, *, own: int, children: int) -> float:
    """Of a program that maps the file and holds `own` MiB, as do its child, and its child's child."""
    command = [sys.executable, "-c", PROGRAM, str(path), str(own), str(children), PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        found = usage_of(process.pid).memory
        process.stdin.close()
    return found


@pytest.mark.parametrize("children", [0, 2])
def test_a_files_pages_count_once_and_own_memory_as_often_as_it_is_held(tmp_path: Path, children: int) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"a")
    large.write_bytes(b"a" * 64 * MIB)
    bare = memory(small, own=0, children=children)

    assert memory(large, own=0, children=children) - bare == pytest.approx(64, abs=8)
    assert memory(small, own=32, children=children) - bare == pytest.approx(32 * (children + 1), abs=8)
