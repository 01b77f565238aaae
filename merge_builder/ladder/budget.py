"""From a memory budget, or a stated size, to a rung.

choose(manifest, parse_bytes("300MiB"))     the largest rung that fits
select(manifest, "2.0")                     the largest rung not above 2x; "#37" is an index
"""

import re

from merge_builder.errors import InputError
from merge_builder.ladder.manifest import Manifest, RungSize

_UNITS = {"": 1, "b": 1}
_UNITS |= {prefix + "b": 1000**power for power, prefix in enumerate("kmgt", 1)}
_UNITS |= {prefix + "ib": 1024**power for power, prefix in enumerate("kmgt", 1)}


class BudgetTooSmall(InputError):
    """No rung fits; the message names the smallest budget that would do."""


def parse_bytes(text: str) -> int:
    """`"300MiB"`, `"1.5GB"` or `"1048576"` as bytes.

    Raises:
        InputError: not a size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    parts_of_bytes = match is not None and "." in match[1] and match[2].lower() in ("", "b")
    if match is None or match[2].lower() not in _UNITS or parts_of_bytes:
        raise InputError(f"{text!r} is not a size in bytes: write 300MiB, 1.5GB or 1048576")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def format_bytes(count: int) -> str:
    """`314572800` as `300.0 MiB`."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def choose(manifest: Manifest, budget: int) -> RungSize:
    """The largest rung whose bytes fit into `budget`.

    Raises:
        BudgetTooSmall: none fits.
    """
    fitting = [rung for rung in manifest.rungs if rung.bytes <= budget]
    if not fitting:
        least = min(rung.bytes for rung in manifest.rungs)
        raise BudgetTooSmall(
            f"a budget of {budget} bytes ({format_bytes(budget)}) holds no rung of this ladder: "
            f"the least that would do is {least} bytes ({format_bytes(least)})"
        )
    return max(fitting, key=lambda rung: (rung.bytes, -rung.index))


def select(manifest: Manifest, text: str) -> RungSize:
    """The rung that `--rung` names: a size ratio (the largest rung not above it) or `#index`.

    Raises:
        InputError: not a rung of this ladder; the message tells the range.
    """
    rungs = manifest.rungs
    if re.fullmatch(r"#\d+", text):
        index = int(text[1:])
        if index >= len(rungs):
            raise InputError(f"rung {text} does not exist: this ladder has #0 to #{len(rungs) - 1}")
        return rungs[index]
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x?", text)
    if match is None:
        raise InputError(f"{text!r} is not a rung: write a size ratio such as 2.0, or an index such as #37")
    fitting = [rung for rung in rungs if rung.ratio <= float(match[1]) + 1e-9]
    if not fitting:
        raise InputError(f"no rung is as small as {text}: the smallest is {min(r.ratio for r in rungs):.3f}x")
    return max(fitting, key=lambda rung: (rung.ratio, -rung.index))
