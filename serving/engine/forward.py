"""One batch through the routed model, stage by stage, as its plan says."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from serving.engine.families.family import Packed
from serving.engine.plan import Row, StagePlan
from serving.engine.skeleton import Skeleton
from serving.engine.types import Encoded


def forward(skeleton: Skeleton, plan: Sequence[StagePlan], batch: Sequence[Encoded], device: str) -> Tensor:
    """The features of the tail's rows, (rows, features), in the order of the plan's last stage."""
    model, family, route = skeleton.model, skeleton.family, skeleton.route
    route.runs = plan[0].runs
    hidden = family.embed(model, _pack(plan[0].rows, batch, device))
    before = plan[0]
    for layer, stage in zip(skeleton.layers, plan[1:-1], strict=True):
        if stage.source is not None:
            hidden = hidden.index_select(1, _to(device, _tokens_of(before.rows, stage.source)))
        route.runs = stage.runs
        hidden = family.run_layer(layer, hidden, stage.attention)
        before = stage
    starts = _starts(before.rows)
    tail = plan[-1]
    rows = family.gather(hidden, _to(device, starts if tail.source is None else starts[list(tail.source)]))
    route.runs = tail.runs
    return family.pool(model, rows)[0]


def _pack(rows: Sequence[Row], batch: Sequence[Encoded], device: str) -> Packed:
    ids = np.concatenate([batch[row.text].input_ids for row in rows])
    types = np.concatenate([batch[row.text].token_type_ids for row in rows])
    positions = np.concatenate([np.arange(row.length) for row in rows])
    packed = _to(device, np.stack([ids, types, positions]).astype(np.int64))
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


def _to(device: str, array: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
