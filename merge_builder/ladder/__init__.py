"""The ladder on disk: the manifest, the store, rungs, and the choice of a rung by budget."""

from merge_builder.kind import Kind
from merge_builder.ladder.budget import BudgetTooSmall, choose, format_bytes, parse_bytes, select
from merge_builder.ladder.kinds import kind_of
from merge_builder.ladder.manifest import Manifest, RungSize, Version
from merge_builder.ladder.rungs import Rung, rung_at
from merge_builder.ladder.store import Ladder, open_ladder

__all__ = [
    "BudgetTooSmall",
    "Kind",
    "Ladder",
    "Manifest",
    "Rung",
    "RungSize",
    "Version",
    "choose",
    "format_bytes",
    "kind_of",
    "open_ladder",
    "parse_bytes",
    "rung_at",
    "select",
]
