"""One batch through the routed model, stage by stage, as its plan says."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from serving.engine.packing import to_device
from serving.engine.plan import Row, StagePlan
from serving.engine.routed import Route
from serving.engine.skeleton import Skeleton
from serving.engine.types import Input


def forward(skeleton: Skeleton, plan: Sequence[StagePlan], batch: Sequence[Input], device: str) -> Tensor:
    """What the heads read: (tokens, hidden) for the rows of the plan's last stage, the tail, end to end."""
    model, family, route = skeleton.model, skeleton.family, skeleton.route
    route.runs = plan[0].runs
    hidden = family.embed(model, family.pack(skeleton.config, [batch[row.text] for row in plan[0].rows], device))
    *layers, last = skeleton.layers
    for number, (layer, before, stage) in enumerate(zip(layers, plan, plan[1:], strict=False)):
        hidden = _enter(route, hidden, before, stage)
        lengths = _lengths(skeleton, number, stage, batch)
        hidden = family.finish(layer, family.attend(model, layer, hidden, lengths), hidden)
    before, stage, tail = plan[-3:]
    hidden = _enter(route, hidden, before, stage)
    attended = family.attend(model, last, hidden, _lengths(skeleton, len(layers), stage, batch))
    if (left := _leaving(stage, tail)) is not None:
        index = to_device(hidden.device, left)
        attended, hidden = attended.index_select(1, index), hidden.index_select(1, index)
    route.runs = tail.runs
    return family.after(model, family.finish(last, attended, hidden))[0]


def starts_of(rows: Sequence[Row]) -> NDArray[np.int64]:
    """The index of every row's first token."""
    lengths = np.array([row.length for row in rows], dtype=np.int64)
    starts: NDArray[np.int64] = np.cumsum(lengths) - lengths
    return starts


def tokens_of(starts: NDArray[np.int64], lengths: Sequence[int]) -> NDArray[np.int64]:
    """The indices of the tokens of rows that begin at `starts`, one row after another."""
    return np.concatenate([np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)])


def _enter(route: Route, hidden: Tensor, before: StagePlan, stage: StagePlan) -> Tensor:
    """The tokens in the order in which a layer's stage wants them."""
    route.runs = stage.runs
    if stage.source is None:
        return hidden
    lengths = [before.rows[parent].length for parent in stage.source]
    return hidden.index_select(
        1, to_device(hidden.device, tokens_of(starts_of(before.rows)[list(stage.source)], lengths))
    )


def _lengths(skeleton: Skeleton, layer: int, stage: StagePlan, batch: Sequence[Input]) -> Sequence[tuple[int, Any]]:
    """The rows of a layer as its `attend` takes them."""
    if (grid := skeleton.family.grid) is None:
        return stage.attention
    grids = (grid(skeleton.config, batch[row.text], layer) for row in stage.rows)
    return [(len(list(rows)), own) for own, rows in groupby(grids)]


def _leaving(stage: StagePlan, tail: StagePlan) -> NDArray[np.int64] | None:
    """The indices of the last layer's tokens that the tail goes on with; None: all, as they lie."""
    lengths = [row.length for row in tail.rows]
    if tail.source is None and lengths == [row.length for row in stage.rows]:
        return None
    starts = starts_of(stage.rows)
    if tail.source is not None:
        starts = starts[list(tail.source)]
    return starts if tail.tokens == len(lengths) else tokens_of(starts, lengths)
