"""Family adapters, one file for each transformers architecture, found by `model_type`."""

from merge_builder.errors import InputError
from serving.engine.families import bert, dinov2
from serving.engine.families.family import Family

FAMILIES = {"bert": bert.FAMILY, "dinov2": dinov2.FAMILY}


def family_of(model_type: str) -> Family:
    """The adapter of an architecture.

    Raises:
        InputError: there is none.
    """
    if model_type not in FAMILIES:
        raise InputError(f"models of type {model_type!r} cannot be served; supported are {', '.join(sorted(FAMILIES))}")
    return FAMILIES[model_type]
