"""Family adapters, one file for each transformers architecture, found by `model_type`."""

from merge_builder.errors import InputError
from serving.engine.families import (
    albert,
    beit,
    bert,
    clip,
    deberta_v2,
    deit,
    dinov2,
    distilbert,
    electra,
    modernbert,
    mpnet,
    roberta,
    swin,
    vit,
)
from serving.engine.families.family import Family

FAMILIES = {
    "albert": albert.FAMILY,
    "beit": beit.FAMILY,
    "bert": bert.FAMILY,
    "camembert": roberta.FAMILY,
    "clip": clip.FAMILY,
    "clip_vision_model": clip.FAMILY,
    "deberta-v2": deberta_v2.FAMILY,
    "deit": deit.FAMILY,
    "dinov2": dinov2.FAMILY,
    "distilbert": distilbert.FAMILY,
    "electra": electra.FAMILY,
    "modernbert": modernbert.FAMILY,
    "mpnet": mpnet.FAMILY,
    "roberta": roberta.FAMILY,
    "swin": swin.FAMILY,
    "vit": vit.FAMILY,
    "xlm-roberta": roberta.FAMILY,
}


def family_of(model_type: str) -> Family:
    """The adapter of an architecture.

    Raises:
        InputError: there is none.
    """
    if model_type not in FAMILIES:
        raise InputError(f"models of type {model_type!r} cannot be served; supported are {', '.join(sorted(FAMILIES))}")
    return FAMILIES[model_type]
