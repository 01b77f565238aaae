"""Kill a build at random moments, run it again until it is done, and compare every byte with an undisturbed build.

python benchmarks/builder/kill_build.py recipe.yaml --kills 50
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from merge_builder.ladder.store import MANIFEST

PROGRAM = str(Path(sys.executable).with_name("mergeladder"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, out = Path(folder, "whole"), Path(folder, "killed")
        start = time.monotonic()
        subprocess.run([PROGRAM, "build", args.recipe, whole], check=True, capture_output=True)
        seconds = time.monotonic() - start
        expected = digests(whole)
        kills = finished = 0
        while kills < args.kills:
            killed = kill_one(args.recipe, out, moments.uniform(0, seconds))
            kills += killed
            if not killed:
                finished += check_and_remove(out, expected)
            elif (out / MANIFEST).exists():
                assert digests(out).items() >= expected.items(), "a manifest stands before its files"
        subprocess.run([PROGRAM, "build", args.recipe, out], check=True, capture_output=True)
        finished += check_and_remove(out, expected)
    print(f"{kills} kills within {seconds:.1f} s of build time: {finished} builds ended, every one byte-identical")


def kill_one(recipe: Path, out: Path, delay: float) -> bool:
    """Run the build and kill it after `delay` seconds; whether it was still running."""
    process = subprocess.Popen([PROGRAM, "build", recipe, out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def check_and_remove(out: Path, expected: dict[str, str]) -> bool:
    """Compare a finished build with the undisturbed one."""
    found = digests(out)
    assert found == expected, sorted(found.items() ^ expected.items())[:4]
    subprocess.run(["rm", "-rf", out], check=True)
    return True


def digests(root: Path) -> dict[str, str]:
    """The sha256 of every file below `root`, by its path there."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    main()
