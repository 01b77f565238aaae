"""What every model of a document is: an unknown key is an error that names it."""

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """Takes no keys but its own, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
