"""Evaluate rungs on labelled rows through a runner, doing only what is not known yet and keeping what is done."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from merge_builder.card import refresh_card
from merge_builder.errors import MergeLadderError
from merge_builder.evaluation.data import TaskData
from merge_builder.evaluation.rows import Row
from merge_builder.evaluation.score import score_of
from merge_builder.ladder.additions import Score
from merge_builder.ladder.manifest import Manifest, RungSize
from merge_builder.ladder.rungs import rung_at
from merge_builder.ladder.store import Ladder, open_ladder, write_manifest
from merge_builder.progress import Progress, silent

# A rung, a task and its rows -> logits, float32 [rows, classes]; of rows of words [words of all rows, classes]. Of
# questions [rows, 2]: the characters of the answer in the context, the first and one past the last. Of two texts a row
# [rows, 2, features]: their vectors. The engine is one; this package runs no models.
Runner = Callable[[RungSize, str, Sequence[Row]], NDArray[np.float32]]
# What determines a score: the task, the versions that serve it, and the rows.
Key = tuple[str, tuple[str, ...], str]
Dtype = Literal["float32", "int8"]  # of the weights that a runner computes with
_FIELDS: dict[Dtype, str] = {"float32": "scores", "int8": "int8_scores"}  # of the manifest


def evaluate(
    ladder: Ladder,
    rungs: Sequence[RungSize],
    data: Mapping[str, TaskData],
    runner: Runner,
    progress: Progress = silent,
    dtype: Dtype = "float32",
) -> list[Score]:
    """A score for every rung and task, in that order; each is in the ladder's manifest as soon as it is known.

    What the ladder's scores tell already, or another rung that serves a task with the same versions, is not run again.
    `dtype` is that of the weights that the runner computes with; the scores of each are kept apart.

    Raises:
        MergeLadderError: the ladder was built anew meanwhile.
    """
    key_of = _keys(ladder.manifest)
    known = {key_of(score.rung, score.task, score.data_sha256): score for score in _known(ladder.manifest, dtype)}
    wanted = [(rung, task, key_of(rung.index, task, rows.sha256)) for rung in rungs for task, rows in data.items()]
    fresh = {key: len(data[task].rows) for _, task, key in wanted if key not in known}
    total, done, scores = sum(fresh.values()), 0, []
    for rung, task, key in wanted:
        ran = key not in known
        if ran:
            progress("evaluating", done, total, "rows")
            known[key] = score_of(rung.index, task, data[task], runner(rung, task, data[task].rows))
            done += fresh[key]
        scores.append(known[key].model_copy(update={"rung": rung.index}))
        if ran:
            write_scores(ladder, scores, dtype)
    write_scores(ladder, scores, dtype)
    progress("evaluating", total, total, "rows")
    return scores


def write_scores(ladder: Ladder, scores: Sequence[Score], dtype: Dtype = "float32") -> Ladder:
    """Write `scores` into the manifest as it is on disk now, replacing those of the same rung and task.

    Raises:
        MergeLadderError: the ladder on disk is no longer the one that was evaluated.
    """
    current = open_ladder(ladder.root).manifest
    if current.revision != ladder.manifest.revision:
        raise MergeLadderError(f"{ladder.root} was built anew while it was evaluated: evaluate it again")
    merged = {(score.rung, score.task): score for score in (*_known(current, dtype), *scores)}
    manifest = current.model_copy(update={_FIELDS[dtype]: tuple(merged[key] for key in sorted(merged))})
    if manifest != current:
        manifest = write_manifest(ladder.root, manifest)
        refresh_card(ladder.root, current, manifest)
    return Ladder(ladder.root, manifest)


def _known(manifest: Manifest, dtype: Dtype) -> tuple[Score, ...]:
    known: tuple[Score, ...] = getattr(manifest, _FIELDS[dtype])
    return known


def _keys(manifest: Manifest) -> Callable[[int, str, str], Key]:
    @cache
    def versions(rung: int) -> dict[str, tuple[str, ...]]:
        blocks = rung_at(manifest, rung).versions.values()
        return {task.name: tuple(block[task.name].id for block in blocks) for task in manifest.tasks}

    return lambda rung, task, data_sha256: (task, versions(rung)[task], data_sha256)
