"""What a request may ask for beside its inputs and tasks."""

from typing import TypedDict


class Options(TypedDict, total=False):
    """That a text which is too long is cut (the default) or refused, how its windows overlap, and a floor.

    `overlap` counts the tokens that neighbouring windows of a long text share. `min_rung` is the smallest rung that may
    answer, in the form that `--rung` takes; `min_score` the share of the experts' accuracy that it must keep
    (`serving.floor`).
    """

    truncate: bool
    overlap: int | None
    min_rung: str | None
    min_score: float | None
