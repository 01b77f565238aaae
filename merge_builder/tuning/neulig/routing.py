"""Train a ladder's router, judge it on rows that it has not seen, and publish it where it is much better than chance.

train_router(load_recipe(Path("recipe.yaml")), Path("data.yaml"), Path("routed"), 0, token_reader)
"""

import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.evaluation import Row, load_data
from merge_builder.ladder import Ladder
from merge_builder.ladder.router import Router
from merge_builder.progress import Progress, silent
from merge_builder.recipe import Recipe
from merge_builder.tuning.neulig.losses import Examples, routing_loss
from merge_builder.tuning.neulig.portland import zeros
from merge_builder.tuning.neulig.publishing import publish_router
from merge_builder.tuning.neulig.router_report import RouterReport, judged
from merge_builder.tuning.neulig.token_features import fit_features, token_table
from merge_builder.tuning.neulig.training import Schedule, train
from merge_builder.tuning.split import FEWEST, HELD_OUT
from merge_builder.tuning.start import working_folder

# The rows of a task -> of each text in them the ids of its tokens, as a server reads a text for the router.
ReadTokens = Callable[[Sequence[Row]], list[tuple[int, ...]]]
_WATCHED = 0.2  # of the rows that are trained on, to tell when to stop
_EPOCHS, _PATIENCE, _RATE = 400, 20, 3e-3
Texts = dict[str, list[tuple[int, ...]]]


def train_router(
    recipe: Recipe,
    data: Path,
    out: Path,
    seed: int,
    make_reader: Callable[[Ladder], tuple[ReadTokens, int]],
    *,
    progress: Progress = silent,
) -> RouterReport:
    """Build the recipe's ladder and write it to `out`, as `add_router` does.

    Raises:
        InputError: the recipe or the rows are unfit, the ladder is of images, or `out` exists already.
    """
    if out.exists():
        raise InputError(
            f"{out} exists already: choose a new folder (to give a ladder a router, name it in the recipe's place)"
        )
    folder = working_folder(out)
    report = add_router(build(recipe, folder / "untuned", progress=progress), data, out, seed, make_reader)
    shutil.rmtree(folder)
    return report


def add_router(
    ladder: Ladder, data: Path, out: Path, seed: int, make_reader: Callable[[Ladder], tuple[ReadTokens, int]]
) -> RouterReport:
    """Write `ladder`, tuned or not, to `out`, with a new router where one is worth it, else as it is.

    `make_reader` gives what reads rows for a ladder, and of how many tokens a text. Two rows in five of every task are
    held out. The router is published if the lower end of its interval there is nearer to always right than to chance.

    Raises:
        InputError: the rows are unfit, the ladder is of images, or `out` exists already.
    """
    table = token_table(ladder)
    rows = load_data(data, ladder)
    tasks = tuple(task.name for task in ladder.manifest.tasks)
    if missing := [task for task in tasks if task not in rows]:
        raise InputError(f"{data} has no rows for task {missing[0]!r}: a router needs some for every task")
    read, max_length = make_reader(ladder)
    seen, held_out = _parted({task: own.rows for task, own in rows.items()}, read, seed)
    with threadpool_limits(1):
        router = _trained(table, tasks, seen, seed)
    right = {task: _right(router, number, held_out[task]) for number, task in enumerate(tasks)}
    report = judged(out, right, seed, sum(map(len, seen.values())))
    hashes = {task: rows[task].sha256 for task in tasks}
    publish_router(ladder, out, router if report.published else None, report, max_length, hashes)
    return report


def _parted(rows: Mapping[str, Sequence[Row]], read: ReadTokens, seed: int) -> tuple[Texts, Texts]:
    """Every task's texts to train on, and those held out; parted by rows, as two texts may be of one."""
    seen: Texts = {}
    held_out: Texts = {}
    for task, own in rows.items():
        if len(own) < FEWEST:
            raise InputError(f"task {task!r} has {len(own)} rows: a router needs {FEWEST} at least")
        order = np.random.default_rng([seed, zlib.crc32(task.encode())]).permutation(len(own))
        cut = round(HELD_OUT * len(order))
        held_out[task] = read([own[number] for number in order[:cut]])
        seen[task] = read([own[number] for number in order[cut:]])
    return seen, held_out


def _trained(table: NDArray[np.float64], tasks: tuple[str, ...], seen: Texts, seed: int) -> Router:
    watched, trained = {}, {}
    for task in tasks:
        cut = max(1, round(_WATCHED * len(seen[task])))
        watched[task], trained[task] = seen[task][:cut], seen[task][cut:]
    features = fit_features(table, [text for task in tasks for text in trained[task]])

    def examples(texts: Texts, number: int) -> Examples:
        own = features.of(texts[tasks[number]])
        return Examples(own, np.full(len(own), number))

    each = [examples(trained, number) for number in range(len(tasks))]
    together = Examples(np.concatenate([own.features for own in each]), np.concatenate([own.labels for own in each]))
    schedule = Schedule(_EPOCHS, rate=_RATE, patience=_PATIENCE, seed=seed)
    start = zeros(len(tasks), table.shape[1])
    network = train(start, [together], routing_loss, schedule, [examples(watched, n) for n in range(len(tasks))])
    return features.router(tasks, network)


def _right(router: Router, number: int, texts: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    return np.array([int(router.confidences(text).argmax()) == number for text in texts])
