"""The whole ladder against copying the same bytes on the same disk; all end with a sync.

The bytes are copied twice: as the build moves them, the inputs read and the ladder written, and by `cp`, which writes
both. With `--cold`, for root alone, the inputs come from the disk and not from the page cache; the ladder that is
copied always comes from there, as does what the build writes.

python benchmarks/builder/whole_ladder.py --work DIR
"""

import argparse
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from checkpoints import llama, write_suite
from measure import PROGRAM, Cost, measure, median, row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder for about 12 GB of files")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="drop the page cache first (root)")
    args = parser.parse_args()
    recipe = write_suite(args.work, *llama(), 4, method={"name": "task_arithmetic"})
    out, inputs = args.work / "ladder", sorted(args.work.glob("*/model.safetensors"))
    first: dict[str, list[str | Path]] = {
        "inputs read, cp of the ladder, sync": ["sh", "-c", 'cat "$@" > /dev/null', "sh", *inputs],
        "cp of inputs and ladder, sync": ["cp", "--parents", *inputs, args.work / "copy"],
    }
    builds: list[Cost] = []
    copies: dict[str, list[float]] = {name: [] for name in first}
    for _ in range(args.runs):
        shutil.rmtree(out, ignore_errors=True)
        _prepare(args.cold)
        builds.append(measure([PROGRAM, "build", recipe, out]))
        for name, command in first.items():
            copies[name].append(_copy(args.work, command, args.cold))
    print(row("mergeladder build, 4 experts, every rung", median(builds)))
    for name, seconds in copies.items():
        ratio = statistics.median(build.wall / copy for build, copy in zip(builds, seconds, strict=True))
        print(f"{name:<44} {'':>14} {statistics.median(seconds):8.1f} s; the build took {ratio:.2f} times as long")


def _prepare(cold: bool) -> None:
    """Have nothing left to write, and, if it is to be cold, nothing read."""
    subprocess.run(["sync"], check=True)
    if cold:
        Path("/proc/sys/vm/drop_caches").write_text("3")


def _copy(work: Path, first: list[str | Path], cold: bool) -> float:
    """Seconds for the command `first` and for copying the ladder to a new folder."""
    target = work / "copy"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    _prepare(cold)
    subprocess.run(["sh", "-c", 'find "$1" -type f -exec cat {} + > /dev/null', "sh", work / "ladder"], check=True)
    start = time.monotonic()
    subprocess.run(first, check=True)
    subprocess.run(["cp", "-r", work / "ladder", target], check=True)
    subprocess.run(["sync", "-f", target], check=True)
    seconds = time.monotonic() - start
    shutil.rmtree(target)
    return seconds


if __name__ == "__main__":
    main()
