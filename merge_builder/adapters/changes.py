"""How one module's adapter tensors change its weight and bias."""

from collections.abc import Mapping
from math import prod

from merge_builder.adapters.folded import Change, LowRank, Rescaled
from merge_builder.adapters.options import AdapterOptions
from merge_builder.checkpoints import StoredTensor
from merge_builder.errors import InputError


def changes_of(
    module: str, parts: Mapping[str, StoredTensor], weight: StoredTensor, options: AdapterOptions
) -> dict[str, Change]:
    """The changes of `module`'s parameters, by `weight` and `bias`.

    Raises:
        InputError: parts that are missing, or whose shapes do not fit the weight.
    """
    # Inner axes are flattened: a convolution's kernel works like a matrix.
    rows, columns = weight.shape[0], prod(weight.shape[1:])
    if "ia3_l" in parts:
        return _rescaled(module, parts["ia3_l"], rows, columns, options)
    embedding = "lora_embedding_A" in parts
    a, b = (parts.get(f"lora_embedding_{side}" if embedding else f"lora_{side}") for side in "AB")
    if a is None or b is None:
        raise InputError(f"the adapter holds only one of the two LoRA matrices of {module!r}")
    rank, transposed = a.shape[0], embedding or options.transposed
    outer, inner = (columns, rows) if transposed else (rows, columns)
    if (a.size, b.size) != (rank * inner, rank * outer):
        raise InputError(
            f"the LoRA matrices of {module!r}, {list(a.shape)} and {list(b.shape)}, do not fit the base's weight "
            f"{list(weight.shape)}: was the adapter trained on this base?"
        )
    return {"weight": LowRank(a, b, rank, rows, columns, options.factor(module, rank), transposed)}


def _rescaled(module: str, scales: StoredTensor, rows: int, columns: int, options: AdapterOptions) -> dict[str, Change]:
    # [out, 1] scales what a module puts out, and so its bias; [1, in] what a feed-forward module takes in.
    of_output = len(scales.shape) == 2 and scales.shape[1] == 1
    by_row = of_output != options.transposed
    if len(scales.shape) != 2 or scales.size != (rows if by_row else columns):
        raise InputError(
            f"the (IA)3 vector of {module!r}, {list(scales.shape)}, does not fit the base's weight, "
            f"{rows} by {columns}: was the adapter trained on this base?"
        )
    changes: dict[str, Change] = {"weight": Rescaled(scales, columns, by_row)}
    return changes | {"bias": Rescaled(scales, 1, by_row=True)} if of_output else changes
