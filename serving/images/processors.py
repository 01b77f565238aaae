"""Every task's image processor, from a ladder: the expert's own where it is another than the base's.

processors = load_processors(ladder, ladder.manifest.tasks)
processors["fashion"].process(image)
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from merge_builder.errors import InputError
from merge_builder.image_processors import write_processor
from merge_builder.ladder import Ladder
from merge_builder.ladder.manifest import Task
from serving.images.preprocess import Processor, load_processor


def load_processors(ladder: Ladder, tasks: Iterable[Task]) -> dict[str, Processor]:
    """The image processors of `tasks` by name; those that make the same pixels are one object.

    Raises:
        InputError: a task's processor asks for anything that is not done here, or there is none; the message names the
            task.
    """
    of_base = cache(lambda: load_processor(ladder.base_dir))
    distinct: dict[object, Processor] = {}
    processors = {}
    for task in tasks:
        try:
            found = of_base() if task.preprocessing is None else _own(task)
        except InputError as error:
            raise InputError(f"task {task.name!r}: {error}") from error
        processors[task.name] = distinct.setdefault((found.resize, found.crop, found.table.tobytes()), found)
    return processors


def by_processor(processors: Mapping[str, Processor], tasks: Sequence[str]) -> list[tuple[Processor, tuple[str, ...]]]:
    """The processors that `tasks` need, each with its tasks, in the order of `tasks`."""
    groups: dict[int, list[str]] = {}
    for task in tasks:
        groups.setdefault(id(processors[task]), []).append(task)
    return [(processors[names[0]], tuple(names)) for names in groups.values()]


def _own(task: Task) -> Processor:
    """As transformers reads it from the task's export: beside its config.json, by which it may go."""
    files = task.preprocessing or {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(task.config))
        write_processor(folder, files)
        return load_processor(folder, f"the expert's {' and '.join(files)}")
