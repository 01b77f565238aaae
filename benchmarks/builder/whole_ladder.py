"""The whole ladder against `cp` of the same bytes, in and out, on the same disk; both end with a sync.

python benchmarks/builder/whole_ladder.py --work DIR
"""

import argparse
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from checkpoints import llama, write_suite
from measure import PROGRAM, measure, row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder for about 12 GB of files")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    recipe = write_suite(args.work, *llama(), 4, method={"name": "task_arithmetic"})
    out = args.work / "ladder"
    build = measure([PROGRAM, "build", recipe, out], args.runs, out)
    print(row("mergeladder build, 4 experts, every rung", build))
    copied = statistics.median(_copy(args.work) for _ in range(args.runs))
    print(f"{'cp of base and experts, cp of the ladder, sync':<44} {'':>14} {copied:8.1f} s")
    print(f"{'':<44} {build.wall / copied:.2f} times the copy")


def _copy(work: Path) -> float:
    """Seconds to copy the inputs to nowhere and the ladder to a new folder."""
    target = work / "copy"
    shutil.rmtree(target, ignore_errors=True)
    start = time.monotonic()
    inputs = " ".join(str(path) for path in sorted(work.glob("*/model.safetensors")))
    subprocess.run(["sh", "-c", f"cat {inputs} > /dev/null"], check=True)
    subprocess.run(["cp", "-r", work / "ladder", target], check=True)
    subprocess.run(["sync", "-f", target], check=True)
    seconds = time.monotonic() - start
    shutil.rmtree(target)
    return seconds


if __name__ == "__main__":
    main()
