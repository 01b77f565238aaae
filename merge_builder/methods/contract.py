"""What a merge method is: one decorated function whose signature declares what it needs.

    @merge_method(title="Average", paper="https://arxiv.org/abs/2203.05482", formula="θ = θ_base + mean(τ)")
    def average(task_vectors): ...

Positional parameters are inputs that the builder brings, by name (see `Inputs`); keyword-only parameters are the
method's hyper-parameters, checked and filled in from their annotations and defaults. A masked method, which keeps a
mask for each task beside what the group shares, is declared by `masked_method` in the same way.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from merge_builder.errors import InputError
from merge_builder.names import nearest

Array = NDArray[np.float32]
# The group's members' task vectors, fp32 [n, ...] with n >= 2, further inputs and parameters
# -> the group's task vector, fp32 [...]. Pure: the result depends on the arguments alone.
MergeFunction = Callable[..., Array]
# As above -> the task vector that the members share, fp32 [...], and which of it is each member's, bool [n, ...].
MaskedFunction = Callable[..., tuple[Array, NDArray[np.bool_]]]
# One member's task vector -> what the function wants of it; made once a tensor, used by every group.
Prepare = Callable[[Array], Any]
Unit = Literal["element", "tensor"]

# Those that the survey measures on whole task vectors (`merge_builder.survey`).
MEASURED = ("magnitudes", "lengths")
INPUTS = ("task_vectors", *MEASURED, "fisher", "prepared")


@dataclass(frozen=True)
class Method:
    """A registered merge method.

    Attributes:
        name: what a recipe calls it: the function's name.
        title, paper, formula: for people: model cards, `--help`, docs.
        unit: `element` methods treat every weight alone and are given any slice of a flattened tensor;
            `tensor` methods are given whole tensors in their own shape.
        inputs: which of `INPUTS` the function takes, each a sequence over the group's members:
            task_vectors; magnitudes (`Magnitudes` of each task's whole task vector); lengths (how far training moved
            each task, see `task_length`); fisher (values of the same shape as the task vectors, from the recipe's
            files); prepared (what `prepare` made of each).
        function: what was decorated.
        parameters: the hyper-parameters as a closed model.
        masked: the function is a `MaskedFunction`; a member's weights are base + rescaler * mask * shared vector.
        rescaled: of masked methods: the rescaler is sum |task vector| / sum |mask * shared vector| over the block,
            else 1.
    """

    name: str
    title: str
    paper: str
    formula: str
    unit: Unit
    inputs: tuple[str, ...]
    function: Callable[..., Any]
    prepare: Prepare | None
    parameters: type[BaseModel]
    masked: bool = False
    rescaled: bool = False


REGISTRY: dict[str, Method] = {}


def merge_method(
    *, title: str, paper: str, formula: str, unit: Unit = "element", prepare: Prepare | None = None
) -> Callable[[MergeFunction], MergeFunction]:
    """Register the decorated function as a merge method of its own name."""

    def register(function: MergeFunction) -> MergeFunction:
        inputs, parameters = _read_signature(function, prepare)
        name = function.__name__
        REGISTRY[name] = Method(name, title, paper, formula, unit, inputs, function, prepare, parameters)
        return function

    return register


def masked_method(
    *, title: str, paper: str, formula: str, rescaled: bool
) -> Callable[[MaskedFunction], MaskedFunction]:
    """Register the decorated function, which treats every weight alone, as a masked method of its own name."""

    def register(function: MaskedFunction) -> MaskedFunction:
        inputs, parameters = _read_signature(function, None)
        name = function.__name__
        REGISTRY[name] = Method(
            name, title, paper, formula, "element", inputs, function, None, parameters, masked=True, rescaled=rescaled
        )
        return function

    return register


def _read_signature(function: Callable[..., Any], prepare: Prepare | None) -> tuple[tuple[str, ...], type[BaseModel]]:
    """The inputs that a method declares, and its hyper-parameters as a closed model."""
    name, declared = function.__name__, inspect.signature(function).parameters.values()
    inputs = tuple(p.name for p in declared if p.kind is not p.KEYWORD_ONLY)
    if not set(inputs) <= set(INPUTS) or ("prepared" in inputs) != (prepare is not None):
        raise TypeError(f"{name}: inputs are {', '.join(INPUTS)} ('prepared' goes with `prepare`); got {inputs}")
    fields: dict[str, Any] = {p.name: (p.annotation, p.default) for p in declared if p.kind is p.KEYWORD_ONLY}
    return inputs, create_model(name, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields)


def find_method(name: str) -> Method:
    """The method called `name`.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    if name not in REGISTRY:
        raise InputError(f"there is no merge method {name!r}{nearest(name, REGISTRY)} (methods: {', '.join(REGISTRY)})")
    return REGISTRY[name]


def check_parameters(method: Method, given: dict[str, Any]) -> dict[str, Any]:
    """`given` checked against the method's signature, defaults filled in.

    Raises:
        InputError: an unknown parameter (names the nearest) or a value of the wrong type.
    """
    for key in given:
        if key not in method.parameters.model_fields:
            known = ", ".join(method.parameters.model_fields) or "none"
            hint = nearest(key, method.parameters.model_fields)
            raise InputError(f"method {method.name} has no parameter {key!r}{hint} (its parameters: {known})")
    try:
        return method.parameters.model_validate(given).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"method {method.name}: parameter {first['loc'][0]!r}: {first['msg']}") from error
