"""The smallest rung that may answer a request: what it asks for itself, and what its tasks are never to fall below."""

from collections.abc import Iterable, Mapping

from merge_builder.errors import InputError
from merge_builder.ladder import Manifest, Rung, RungSize, select
from serving.errors import RequestError, RungTooSmall


def least_rung(
    manifest: Manifest,
    tasks: Iterable[str],
    floors: Mapping[str, RungSize],
    *,
    min_rung: str | None,
    min_score: float | None,
) -> RungSize | None:
    """The smallest rung that may answer for `tasks`: the largest of all that is asked for; None where nothing is.

    `min_rung` has the form that `--rung` takes. `min_score` is a share of each expert's own accuracy, judged by the
    scores in the ladder: from the rung that is found on, every evaluated one keeps it.

    Raises:
        RequestError: `min_rung` names no rung, or the ladder has no scores, or none as high as `min_score`.
    """
    tasks = list(tasks)
    asked = [floors[task] for task in tasks if task in floors]
    if min_rung is not None:
        try:
            asked.append(select(manifest, min_rung))
        except InputError as error:
            raise RequestError(str(error), "parameters.min_rung") from error
    if min_score is not None:
        asked += [_by_score(manifest, task, min_score) for task in tasks]
    return min(asked, key=lambda rung: rung.index, default=None)


def check_rung(current: Rung, least: RungSize | None) -> None:
    """Raises RungTooSmall if `current` is smaller than `least`."""
    if least is not None and current.size.index > least.index:
        raise RungTooSmall(
            f"the current rung is {current.name} ({current.size.ratio:.3f}x) and at least #{least.index} "
            f"({least.ratio:.3f}x) is needed",
            "parameters.min_rung",
            least.index,
        )


def _by_score(manifest: Manifest, task: str, goal: float) -> RungSize:
    """A larger rung may score less than a smaller one: the whole way from the experts down is looked at."""
    accuracy = {score.rung: score.accuracy for score in manifest.scores if score.task == task}
    if not accuracy.get(0):
        raise RequestError(
            f"this ladder has no scores of task {task!r} to judge min_score by: run `mergeladder evaluate` on it",
            "parameters.min_score",
        )
    found = 0
    for index in sorted(accuracy):
        if accuracy[index] < goal * accuracy[0]:
            break
        found = index
    return manifest.rungs[found]
