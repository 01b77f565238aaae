"""What every search starts with: a free OUT, the recipe's untuned ladder, and rows for each of its tasks."""

from dataclasses import dataclass
from pathlib import Path

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.evaluation import TaskData, load_data
from merge_builder.ladder import Ladder
from merge_builder.methods import find_method
from merge_builder.progress import Progress
from merge_builder.recipe import Recipe


@dataclass(frozen=True)
class Start:
    """`folder` keeps what the search knows, the untuned `ladder` among it; `rows` are of every task of the ladder."""

    folder: Path
    ladder: Ladder
    rows: dict[str, TaskData]


def working_folder(out: Path) -> Path:
    """Where a search for `out` keeps what it knows until it is done."""
    return out.with_name(f"{out.name}.tuning")


def start(recipe: Recipe, data: Path, out: Path, progress: Progress) -> Start:
    """Build the untuned ladder, or find it built, and read the rows.

    Raises:
        InputError: `out` exists already, the method cannot be tuned, or a task has no rows.
    """
    if out.exists():
        raise InputError(f"{out} exists already: choose a new folder")
    if find_method(recipe.method_use.name).masked:
        raise InputError(f"{recipe.method_use.name} keeps a mask for every task: tune a recipe of another method")
    folder = working_folder(out)
    ladder = build(recipe, folder / "untuned", progress=progress)
    rows = load_data(data, ladder)
    if missing := [task.name for task in ladder.manifest.tasks if task.name not in rows]:
        raise InputError(f"{data} has no rows for task {missing[0]!r}: a search needs some for every task")
    return Start(folder, ladder, rows)
