"""Merge methods, one file a method; importing a method registers it."""

from merge_builder.methods import average, blend, consensus, emr, fisher, iso, pcb, task_arithmetic, ties, tsv, wudi
from merge_builder.methods.contract import REGISTRY, Method, check_parameters, find_method

__all__ = [
    "REGISTRY",
    "Method",
    "check_parameters",
    "find_method",
    "average",
    "blend",
    "consensus",
    "emr",
    "fisher",
    "iso",
    "pcb",
    "task_arithmetic",
    "ties",
    "tsv",
    "wudi",
]
