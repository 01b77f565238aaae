"""Blocks: the units that are merged, named per family and granularity."""

from merge_builder.blocks.layout import Granularity, Layout
from merge_builder.blocks.partition import Parts, layout_of, normalise, split_base, split_expert

__all__ = ["Granularity", "Layout", "Parts", "layout_of", "normalise", "split_base", "split_expert"]
