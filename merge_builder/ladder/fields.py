"""What every entry of `ladder.json` is made of."""

from typing import Annotated

from pydantic import Field

from merge_builder.closed import Closed

# Names become file names, so nothing that could leave the ladder's folder is a name.
SafeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$")]
TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TensorSpec(Closed):
    """One tensor by its canonical name (the family's prefix removed), as safetensors describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def missing(value: object) -> bool:
    """For `exclude_if`: without a value the file is as it was before there was such a field."""
    return value is None
