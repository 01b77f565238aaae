"""The command line run in this process, and a pico ladder for it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from deploy.cli import run
from merge_builder.build import build
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def mergeladder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`mergeladder(argument, ...)`: the exit code and what was printed."""
    monkeypatch.setenv("COLUMNS", "200")
    torch.set_num_threads(1)

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def ladder(recipe_file: Path) -> Ladder:
    return build(load_recipe(recipe_file), recipe_file.parent / "ladder", threads=1)
