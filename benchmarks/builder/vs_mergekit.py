"""One 1x merge of the same files by MergeLadder and by mergekit, as whole processes, and how far the results differ.

    python -m venv MERGEKIT && MERGEKIT/bin/pip install torch==2.13.0 mergekit==0.1.5
    python benchmarks/builder/vs_mergekit.py --mergekit MERGEKIT/bin/mergekit-yaml --work DIR

Base and 4 experts of 109.5 M parameters, Llama-like, fp32. Task arithmetic agrees exactly in formula (weights of 1/n);
TIES does not: mergekit trims every tensor by itself, here the threshold is global over a task.
"""

import argparse
from pathlib import Path

import numpy as np
import yaml
from checkpoints import llama, write_suite
from measure import PROGRAM, measure, row

from merge_builder.checkpoints import open_checkpoint

EXPERTS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mergekit", type=Path, required=True, help="the program mergekit-yaml")
    parser.add_argument("--work", type=Path, required=True, help="a folder for about 4 GB of files")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    for method, theirs in (("task_arithmetic", {}), ("ties", {"density": 0.2})):
        recipe = write_suite(args.work, *llama(), EXPERTS, method={"name": method} | theirs)
        config = args.work / f"mergekit-{method}.yaml"
        config.write_text(yaml.safe_dump(_mergekit_config(args.work, method, theirs)))
        ours, other = args.work / "ours", args.work / "mergekit"
        command = [args.mergekit, config, other, "--no-copy-tokenizer", "--quiet"]
        a = measure([PROGRAM, "merge", recipe, ours], args.runs, ours)
        b = measure(command, args.runs, other)
        print(row(f"{method}: mergeladder merge", a))
        print(row(f"{method}: mergekit-yaml", b))
        print(f"{'':<44} {a.cpu / b.cpu:8.2f} of its CPU {'':>9} {a.memory / b.memory:8.2f} of its memory")
        print(f"{'':<44} greatest difference of a weight: {_difference(ours, other):.2e}", flush=True)


def _mergekit_config(work: Path, method: str, parameters: dict[str, float]) -> dict[str, object]:
    models = [
        {"model": str(work / f"expert{k}"), "parameters": {"weight": 1 / EXPERTS} | parameters} for k in range(EXPERTS)
    ]
    # TIES: the mean of what agrees is mergekit's normalised form; task arithmetic: the plain weighted sum.
    normalize = method == "ties"
    return {
        "merge_method": method,
        "base_model": str(work / "base"),
        "models": models,
        "parameters": {"normalize": normalize},
        "dtype": "float32",
    }


def _difference(ours: Path, theirs: Path) -> float:
    # Tensor by tensor: the peak memory of a child counts what its parent held when it was started.
    with open_checkpoint(ours) as a, open_checkpoint(theirs) as b:
        return max(float(np.abs(a.tensors[name].read() - b.tensors[name].read()).max()) for name in a.tensors)


if __name__ == "__main__":
    main()
