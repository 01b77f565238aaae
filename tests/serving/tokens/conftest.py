"""What the engine makes of texts, as windows over their tokens, and transformers' own models of the same tasks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from merge_builder.export import export
from merge_builder.ladder import Ladder, kind_of, rung_at
from serving.encoding import encode
from serving.engine.engine import Engine, load_engine
from serving.inputs import Text
from serving.result import Window

Windows = Callable[..., list[Window]]


@pytest.fixture(scope="module")
def mixed(mixed_ladder: Ladder) -> Engine:
    """The engine of the mixed ladder, at a rung where some blocks are shared."""
    return load_engine(mixed_ladder, rung_at(mixed_ladder.manifest, len(mixed_ladder.manifest.rungs) // 2))


@pytest.fixture(scope="module")
def windows(mixed: Engine) -> Windows:
    """`windows(task, item, overlap=None)`: what `task` makes of the text."""
    kinds = {task.name: kind_of(task) for task in mixed.ladder.manifest.tasks}

    def ask(task: str, item: Text, overlap: int | None = None) -> list[Window]:
        lengths = {task: mixed.max_length(task)}
        rows = encode(mixed.tokenizer, [item], [(task,)], lengths, truncate=True, kinds=kinds, overlap=overlap)
        output = mixed.run([row.encoded for row in rows])
        return [
            Window(logits[task], row.aligned, row.encoded.truncated)
            for row, logits in zip(rows, output.logits, strict=True)
        ]

    return ask


@pytest.fixture(scope="module")
def exported(mixed: Engine, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`exported(task)`: the folder of the model that the engine's rung serves the task with."""
    root = tmp_path_factory.mktemp("exports")

    def folder(task: str) -> Path:
        if not (root / task).exists():
            export(mixed.ladder, task, mixed.rung.size, root / task)
        return root / task

    return folder
