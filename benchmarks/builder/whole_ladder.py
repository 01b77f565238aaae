"""The whole ladder against `cp` of the same bytes on the same disk; all end with a sync.

Once as the build moves them, the inputs read and the ladder written, and once with both written, as `cp` does.

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
        builds.append(measure([PROGRAM, "build", recipe, out], clean=out))
        for name, command in first.items():
            copies[name].append(_copy(args.work, command))
    print(row("mergeladder build, 4 experts, every rung", median(builds)))
    for name, seconds in copies.items():
        ratio = statistics.median(build.wall / copy for build, copy in zip(builds, seconds, strict=True))
        print(f"{name:<44} {'':>14} {statistics.median(seconds):8.1f} s; the build took {ratio:.2f} times as long")


def _copy(work: Path, first: list[str | Path]) -> float:
    """Seconds for the command `first` and for copying the ladder to a new folder."""
    target = work / "copy"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    start = time.monotonic()
    subprocess.run(first, check=True)
    subprocess.run(["cp", "-r", work / "ladder", target], check=True)
    subprocess.run(["sync", "-f", target], check=True)
    seconds = time.monotonic() - start
    shutil.rmtree(target)
    return seconds


if __name__ == "__main__":
    main()
