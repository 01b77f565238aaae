"""One batch through the routed model, stage by stage, as its plan says."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serving.engine.families.family import Packed
from serving.engine.plan import Row, StagePlan
from serving.engine.routed import Route
from serving.engine.skeleton import Skeleton
from serving.engine.types import Encoded


def forward(skeleton: Skeleton, plan: Sequence[StagePlan], batch: Sequence[Encoded], device: str) -> Tensor:
    """The features of the tail's rows, (rows, features), in the order of the plan's last stage."""
    model, family, route = skeleton.model, skeleton.family, skeleton.route
    route.runs = plan[0].runs
    hidden = family.embed(model, _pack(plan[0].rows, batch, device))
    *layers, last = skeleton.layers
    tail = plan[-1]
    for layer, before, stage in zip(layers, plan, plan[1:], strict=False):
        hidden = _enter(route, hidden, before, stage)
        hidden = family.finish(layer, family.attend(layer, hidden, stage.attention), hidden)
    before, stage = plan[-3:-1]
    hidden = _enter(route, hidden, before, stage)
    attended = family.attend(last, hidden, stage.attention)
    starts = _starts(stage.rows)
    left = to_device(device, starts if tail.source is None else starts[list(tail.source)])
    route.runs = tail.runs
    rows = family.finish(last, family.gather(attended, left), family.gather(hidden, left))
    return family.pool(model, rows)[0]


def _enter(route: Route, hidden: Tensor, before: StagePlan, stage: StagePlan) -> Tensor:
    """The tokens in the order in which a layer's stage wants them."""
    route.runs = stage.runs
    if stage.source is None:
        return hidden
    return hidden.index_select(1, to_device(hidden.device, _tokens_of(before.rows, stage.source)))


def _pack(rows: Sequence[Row], batch: Sequence[Encoded], device: str) -> Packed:
    ids = np.concatenate([batch[row.text].input_ids for row in rows])
    types = np.concatenate([batch[row.text].token_type_ids for row in rows])
    positions = np.concatenate([np.arange(row.length) for row in rows])
    packed = to_device(device, np.stack([ids, types, positions]).astype(np.int64))
    return Packed(packed[0:1], packed[1:2], packed[2:3])


def _starts(rows: Sequence[Row]) -> NDArray[np.int64]:
    """The index of every row's first token."""
    lengths = np.array([row.length for row in rows])
    starts: NDArray[np.int64] = np.cumsum(lengths) - lengths
    return starts


def _tokens_of(rows: Sequence[Row], source: Sequence[int]) -> NDArray[np.int64]:
    """The indices of the tokens of rows `source`, one row after another."""
    starts = _starts(rows)
    return np.concatenate([np.arange(starts[row], starts[row] + rows[row].length) for row in source])


def to_device(device: str | torch.device, array: NDArray[np.int64]) -> Tensor:
    """The array on the device. A GPU reads it from pinned memory while the host goes on. Not tried on a GPU yet."""
    host = torch.from_numpy(array)
    if torch.device(device).type != "cpu":
        host = host.pin_memory()
    return host.to(device, non_blocking=True)
