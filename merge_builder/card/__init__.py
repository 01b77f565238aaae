"""Model cards: the README.md inside a ladder and inside an export, made from the manifest alone.

Nothing depends on them and they hold no date: equal ladders have equal cards, and a card may be edited or removed.
"""

from merge_builder.card.export_card import export_card
from merge_builder.card.ladder_card import ladder_card, refresh_card

__all__ = ["export_card", "ladder_card", "refresh_card"]
