"""An evaluation as one plain document: what `mergeladder evaluate --json` writes."""

from collections.abc import Sequence
from typing import Any

from merge_builder.evaluation.evaluate import Dtype
from merge_builder.evaluation.summary import RungSummary, summarise
from merge_builder.ladder.additions import Score
from merge_builder.ladder.store import Ladder


def evaluation_document(
    ladder: Ladder, scores: Sequence[Score], dtype: Dtype = "float32", measure: Sequence[Score] = ()
) -> dict[str, Any]:
    """What `scores` tell of `ladder`.

    `scores` holds one entry a rung and task; `summary` one entry for each rung with a score for every task, from the
    smallest on, relative to the experts' own. `ratio` is the rung's size in shared models. `measure` as in `summarise`.
    """
    return {
        "ladder": ladder.name,
        "revision": ladder.manifest.revision,
        "dtype": dtype,
        "scores": [score.model_dump(mode="json", exclude={"right", "pairs"}) for score in scores],
        "summary": [_entry(rung) for rung in summarise(ladder.manifest, scores, measure)],
    }


def _entry(rung: RungSummary) -> dict[str, Any]:
    return {
        "rung": rung.size.index,
        "ratio": rung.size.ratio,
        "bytes": rung.size.bytes,
        "mean": rung.mean,
        "mean_interval": rung.mean_interval,
        "worst": rung.worst.normalised,
        "worst_interval": rung.worst.interval,
        "worst_task": rung.worst_task,
        "tasks": {
            name: {"normalised": task.normalised, "interval": task.interval} for name, task in rung.tasks.items()
        },
    }
