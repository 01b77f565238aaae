"""The lines of `curve.py` as one Markdown table.

python benchmarks/suite/table.py curve.jsonl [more.jsonl …]
"""

import json
import sys
from pathlib import Path
from typing import Any

SIZES = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)


def main() -> None:
    records = [json.loads(line) for path in sys.argv[1:] for line in Path(path).read_text().splitlines()]
    print("| recipe | " + " | ".join(f"{size:g}x" for size in SIZES) + " | passes at 1.25x, 2x |")
    print("|---|" + "---|" * (len(SIZES) + 1))
    for record in records:
        rungs = [_at(record["rungs"], size) for size in SIZES]
        passes = ", ".join(_passes(rung) for rung in (rungs[1], rungs[3]))
        print(f"| {record['name']} | " + " | ".join(map(_cell, rungs)) + f" | {passes} |")


def _at(rungs: list[dict[str, Any]], size: float) -> dict[str, Any] | None:
    """The largest measured rung not above `size`, as a server with that budget would take."""
    fitting = [rung for rung in rungs if rung["ratio"] <= size + 1e-9]
    return max(fitting, key=lambda rung: rung["ratio"], default=None)


def _passes(rung: dict[str, Any] | None) -> str:
    return "–" if rung is None or rung["passes"] is None else f"{rung['passes']:.1f}"


def _cell(rung: dict[str, Any] | None) -> str:
    if rung is None:
        return "–"
    low, high = rung["interval"]
    return f"{rung['mean']:.3f} ({low:.2f}–{high:.2f}), worst {rung['worst']:.2f}"


if __name__ == "__main__":
    main()
