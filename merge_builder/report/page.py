"""The report: one HTML file about one or several ladders, with nothing outside it.

write_report([open_ladder("ladder/")], Path("report.html"))
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from merge_builder.checkpoints.files import write_atomic
from merge_builder.ladder import format_bytes
from merge_builder.ladder.store import Ladder
from merge_builder.report.block_map import draw_block_map
from merge_builder.report.curve import draw_curve
from merge_builder.report.heat_map import draw_heat_map
from merge_builder.report.sizes import GOALS, goals, size_rows
from merge_builder.report.subject import comparable, subjects_of
from merge_builder.report.templates import templates_in


def write_report(ladders: Sequence[Ladder], out: Path) -> None:
    """Write the report on `ladders` to the file `out`, whole or not at all; equal ladders give equal bytes.

    Raises:
        InputError: an expert gets none of its evaluation rows right, so its scores cannot be told.
    """
    write_atomic(out, render(ladders).encode())


def render(ladders: Sequence[Ladder]) -> str:
    """The report as HTML. Every name is escaped."""
    environment = templates_in(Path(__file__).parent)
    environment.filters |= {"percent": _percent, "bytes": format_bytes, "yaml": _yaml}
    environment.globals |= {
        "draw_block_map": draw_block_map,
        "draw_heat_map": draw_heat_map,
        "size_rows": size_rows,
        "goals": goals,
        "shares": GOALS,
    }
    subjects = subjects_of(ladders)
    page = environment.get_template("page.html")
    return page.render(subjects=subjects, curve=draw_curve(subjects), comparable=comparable(subjects))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
