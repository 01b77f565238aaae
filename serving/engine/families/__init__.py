"""Family adapters, one file for each transformers architecture, found by `model_type`."""

from importlib import import_module

from merge_builder.errors import InputError
from serving.engine.families.family import Family

# The file of each, imported when it is asked for: every adapter brings its transformers model, which takes memory.
FAMILIES = {
    "albert": "albert",
    "beit": "beit",
    "bert": "bert",
    "camembert": "roberta",
    "clip": "clip",
    "clip_vision_model": "clip",
    "deberta-v2": "deberta_v2",
    "deit": "deit",
    "dinov2": "dinov2",
    "distilbert": "distilbert",
    "electra": "electra",
    "modernbert": "modernbert",
    "mpnet": "mpnet",
    "roberta": "roberta",
    "swin": "swin",
    "vit": "vit",
    "xlm-roberta": "roberta",
}


def family_of(model_type: str) -> Family:
    """The adapter of an architecture.

    Raises:
        InputError: there is none.
    """
    if model_type not in FAMILIES:
        raise InputError(f"models of type {model_type!r} cannot be served; supported are {', '.join(sorted(FAMILIES))}")
    family: Family = import_module(f"{__name__}.{FAMILIES[model_type]}").FAMILY
    return family
